"""The CDK app: what ``cdk deploy`` deploys. cdk.json has the settings; infra/settings.py explains them."""

import os
import sys

# aws_cdk starts Node when it is imported. Of a Node that is out of support, or soon will be, Node prints a warning in
# eleven raw lines, above the one sentence that a user waits for. `make setup` says it in one line instead.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20,22,24")
os.environ.setdefault("JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION", "yes")

from aws_cdk import App

from infra.bundle import BundleError, bundle
from infra.deployment import add_stacks
from infra.setting_readers import SettingsError
from infra.settings import Settings


def main() -> None:
    # ``make lint`` validates the templates; here it would take half of the time of a synth.
    app = App(builtin_cloud_formation_validation=False)
    try:
        settings = Settings.from_context(app.node.get_all_context())
        code = bundle(bundle_for=settings.bundle_for, architecture=settings.architecture)
        add_stacks(app, settings=settings, bundle=code)
    except (SettingsError, BundleError) as error:
        sys.exit(str(error))  # on standard error, with exit code 1
    app.synth()


if __name__ == "__main__":
    main()
