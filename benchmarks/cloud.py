"""``python -m benchmarks.cloud``: measure what this code adds to the start of a function and to ``cdk synth``.

A function's cold start imports its handler, which makes its clients. That is compared with what the same function would
need of the same packages without any of this code: boto3, its clients of the three services, and ``cryptography``.
Both run in the Python that runs this, with the bundle for this machine: Lambda's has the same sources, wheels for its
own platform and bytecode for its own Python, which may not be here. The ratio is what stays the same.
``cdk synth`` is compared with that of an app with one empty stack.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from infra.bundle import bundle

from .comparison import Comparison, compare, report
from .installations import boto3_packages
from .processes import Cost, clean_environment, measure
from .wheel import REPOSITORY

# A function of the issuer ``kms``, which needs the most clients. Python starts without the installed packages of this
# machine, and the first argument is where the packages are.
OURS = """\
import sys
sys.path.insert(0, sys.argv[1])
import functions.handlers.http_api
"""
THREE_CLIENTS = """\
import sys
sys.path.insert(0, sys.argv[1])
import boto3
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
for service in ("dynamodb", "iot", "kms"):
    boto3.client(service)
"""
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "us-east-1"),
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "nobody"),
    "FLEET": "zymkey",
    "ISSUER": "kms",
    "LEDGER_TABLE": "table",
    "IOT_POLICY": "policy",
    "CA_CERTIFICATES": "",
    "CA_KEY_ARN": "arn",
    "CERTIFICATE_SUBJECT": "{}",
    "CERTIFICATE_VALIDITY_DAYS": "365",
    "TOPICS": "{}",
    "UNINVITED": "refuse",
}
# Of boto3's processor time. Both are the medians of one run.
TARGETS = {"cpu": 0.5}
EMPTY_APP = """\
from aws_cdk import App, Stack

app = App(builtin_cloud_formation_validation=False)
Stack(app, "Empty")
app.synth()
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cloud", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of imports; a third of it for synths")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        return report(
            "cloud",
            compare_cold_starts(rounds=rounds),
            compare_synths(Path(folder), rounds=max(1, rounds // 3)),
        )


def compare_cold_starts(*, rounds: int) -> Comparison:
    """Compare the start of the HTTP API's function, from its bundle, with boto3's clients and ``cryptography``.

    The same Python runs both, and both have bytecode that Python does not compare with the sources.
    """
    ours = bundle(bundle_for="host", architecture="arm64").directory
    theirs = boto3_packages()
    environment = clean_environment(os.environ) | ENVIRONMENT

    def run(code: str, packages: Path) -> Cost:
        command = (sys._base_executable, "-I", "-S", "-B", "-c", code, packages)  # type: ignore[attr-defined]
        return measure(*command, folder=REPOSITORY, environment=environment)

    return compare(
        f"Cold start: the HTTP API's function with its clients, in Python {platform.python_version()}",
        {
            "functions.handlers.http_api": lambda: run(OURS, ours),
            "boto3's three clients and cryptography": lambda: run(THREE_CLIENTS, theirs),
        },
        rounds=rounds,
        targets=TARGETS,
    )


def compare_synths(folder: Path, *, rounds: int) -> Comparison:
    """Compare ``cdk synth`` of this app with that of an empty stack, with the same Python and CDK."""
    (folder / "empty.py").write_text(EMPTY_APP)
    environment = clean_environment(os.environ) | {
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }
    cdk = REPOSITORY / "node_modules" / ".bin" / "cdk"

    def synth(app: Path, context: str = "any=thing") -> Cost:
        return measure(
            *(cdk, "synth", "--quiet", "--no-notices", "--app", f"{sys.executable} {app}"),
            *("--output", folder / f"{app.stem}.out", "--context", context),
            folder=REPOSITORY,
            environment=environment,
        )

    return compare(
        "cdk synth",
        {
            "this app": lambda: synth(REPOSITORY / "app.py", "zymkey-fleet.bundleFor=host"),
            "an empty stack": lambda: synth(folder / "empty.py"),
        },
        rounds=rounds,
    )


if __name__ == "__main__":
    raise SystemExit(main())
