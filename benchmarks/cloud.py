"""python -m benchmarks.cloud: what our code adds to the start of a function and to a synth.

A function's cold start imports its handler; it is compared with importing boto3 and making one client, which no
function that talks to AWS gets around. cdk synth is compared with that of an app whose one stack is empty.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from .comparison import Comparison, compare, report
from .installations import INSTALLATIONS, functions_installation
from .processes import Cost, clean_environment, measure
from .wheel import REPOSITORY

ONE_CLIENT = "import boto3; boto3.client('iot', region_name='us-east-1')"
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
            compare_imports(functions_installation(), rounds=rounds),
            compare_synths(Path(folder), rounds=max(1, rounds // 3)),
        )


def compare_imports(functions: Path, *, rounds: int) -> Comparison:
    """The handler, as a function imports it, against boto3 with one client."""
    environment = clean_environment(os.environ) | {
        "PYTHONPATH": str(REPOSITORY),
        # Bytecode of the checkout is kept, and kept apart from it.
        "PYTHONPYCACHEPREFIX": str(INSTALLATIONS / "bytecode"),
    }

    def run(code: str) -> Cost:
        return measure(functions / "python", "-c", code, folder=REPOSITORY, environment=environment)

    return compare(
        "Importing the HTTP API's handler",
        {
            "functions.handlers.http_api": lambda: run("import functions.handlers.http_api"),
            "boto3 and one client": lambda: run(ONE_CLIENT),
            "boto3 alone": lambda: run("import boto3"),
        },
        rounds=rounds,
    )


def compare_synths(folder: Path, *, rounds: int) -> Comparison:
    """``cdk synth`` of the whole app against that of an empty stack, with the same Python and CDK."""
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
