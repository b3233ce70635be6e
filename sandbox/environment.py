"""The environment that points every command at the sandbox: the operator's, the device's, the CDK's and the SDK's.

On an AWS account each of these variables is either unset or says what the account says.
"""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .addresses import DATA_ENDPOINT_HOST, REGION, REPOSITORY, ROOT_ACCESS_KEY, ROOT_SECRET_KEY, Addresses
from .certificates import ServerCertificates

# Before the names of the operator's credentials in the environment file; the root's are there under their own.
OPERATOR_PREFIX = "OPERATOR_"


def aws_environment(addresses: Addresses, certificates: ServerCertificates) -> dict[str, str]:
    """AWS SDK and CDK variables: the emulator's address, its certificate, its root credentials."""
    return {
        "AWS_ENDPOINT_URL": addresses.gateway,
        "AWS_CA_BUNDLE": str(certificates.root),
        "NODE_EXTRA_CA_CERTS": str(certificates.root),
        "AWS_ACCESS_KEY_ID": ROOT_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def sdk_connection(aws: Mapping[str, str]) -> dict[str, Any]:
    """The same, as keyword arguments of boto3.client: for a process whose own environment says otherwise."""
    return {
        "endpoint_url": aws["AWS_ENDPOINT_URL"],
        "verify": aws["AWS_CA_BUNDLE"],
        "region_name": aws["AWS_REGION"],
        "aws_access_key_id": aws["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": aws["AWS_SECRET_ACCESS_KEY"],
    }


def device_environment(addresses: Addresses, *, enrollment_url: str, roots: Path, engines: Path) -> dict[str, str]:
    """What a device would learn from its configuration or its system: addresses, roots, the Zymkey's engine."""
    return {
        "ENROLLMENT_URL": enrollment_url,
        "IOT_ENDPOINT": DATA_ENDPOINT_HOST,
        "IOT_HTTPS_PORT": str(addresses.https_port),
        "IOT_MQTT_PORT": str(addresses.mqtt_port),
        "IOT_CREDENTIAL_ENDPOINT": f"{DATA_ENDPOINT_HOST}:{addresses.https_port}",
        "CA_BUNDLE": str(roots),
        "OPENSSL_ENGINES": str(engines),
    }


def as_operator(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with the operator's credentials in place of the root's, for ``zymkey-fleet``."""
    operator = {
        name.removeprefix(OPERATOR_PREFIX): value
        for name, value in environment.items()
        if name.startswith(OPERATOR_PREFIX)
    }
    return {**environment, **operator}


def reachable_enrollment_url(addresses: Addresses, deployed: str) -> str:
    """The address at which this machine finds the API that the stack's output calls ``deployed``.

    The output is as on AWS, https://<api id>.execute-api.<region>.amazonaws.com/; the emulator answers for the
    same API under a path of its gateway, with the stage ($default) spelled out.
    """
    host = urlsplit(deployed).hostname or ""
    stage = urlsplit(deployed).path.strip("/") or "$default"
    return f"{addresses.gateway}/_aws/execute-api/{host.partition('.')[0]}/{stage}"


def write_environment_file(path: Path, variables: dict[str, str]) -> None:
    """Write ``path`` for a shell to source: exports, and the two commands on PATH. Replaces it in one step."""
    commands = shlex.quote(str(REPOSITORY / "bin"))
    lines = [
        "# Made by `make sandbox`. Use it with: . build/sandbox.env",
        # Credentials of a real account must not mix with these.
        "unset AWS_PROFILE AWS_SESSION_TOKEN",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f'case ":$PATH:" in *:{commands}:*) ;; *) PATH={commands}:"$PATH"; export PATH ;; esac',
    ]
    temporary = path.with_suffix(".env.new")
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(path)


def sourced(path: Path) -> dict[str, str]:
    """This process's environment as it is after sourcing ``path`` in a shell."""
    done = subprocess.run(["sh", "-c", '. "$1" && env -0', "sh", path], capture_output=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
