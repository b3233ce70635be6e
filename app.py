"""The CDK app: what ``cdk deploy`` deploys. cdk.json has the settings; infra/settings.py explains them."""

import sys

from aws_cdk import App

from infra.bundle import BundleError, bundle
from infra.deployment import add_stacks
from infra.settings import Settings, SettingsError


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
