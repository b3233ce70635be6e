"""A profile for ~/.aws/config, which AWS's command line, boto3 and its other SDKs read: credentials without any keys.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

import re
import shlex
import shutil
import sys
from pathlib import Path

from .setup import Setup

PROFILE = "zymkey-iot"

# Of a host name such as abc-ats.iot.eu-central-1.amazonaws.com.
_REGION = re.compile(r"\.iot\.([a-z]{2}(?:-[a-z]+)+-[0-9]+)\.")


def render(setup: Setup) -> str:
    """An INI section. SDKs split the command as a shell does, and so must it be quoted."""
    command = shlex.join([str(_command()), "credentials", *_options(setup)])
    region = _REGION.search(setup.endpoint)
    return f"""\
# For ~/.aws/config of a user who may read {setup.settings.state.absolute()} and use the key:
# root, or zymkey-iot, the user of the service. Then: AWS_PROFILE={PROFILE} aws sts get-caller-identity
# or in Python: boto3.Session(profile_name="{PROFILE}")
[profile {PROFILE}]
credential_process = {command}
{f"region = {region[1]}" if region else "# region = the Region of your services"}
"""


def _command() -> Path:
    beside = Path(sys.executable).with_name("zymkey-iot")
    found = beside if beside.exists() else shutil.which("zymkey-iot")
    return Path(found or "/usr/local/bin/zymkey-iot").absolute()


def _options(setup: Setup) -> list[str]:
    """The settings that a program's run of the command would not find: those from options and environment."""
    settings = setup.settings
    endpoint = settings.credential_endpoint
    values = {
        "state": settings.state.absolute(),
        "key": settings.key,
        "ca_file": settings.ca_file and setup.roots,
        "credential_endpoint": endpoint and "{}:{}".format(*endpoint),
        "tls": settings.tls,
        "no_proxy": settings.no_proxy,
    }
    return [
        word
        for name, value in values.items()
        if value is not None and setup.is_needed(name)
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
