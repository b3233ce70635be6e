"""``python -m benchmarks.bootstrap``: compare a whole bootstrap with the vendor's recipe, in one run, alternating.

Both run in the sandbox with a simulated Zymkey. Each device is new to the cloud, and each measurement goes from the
request to the accepted publish. The operator's part (the invitation here, the policy there) is not measured.
"""

import argparse
import json
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import boto3
import certifi

from pki.issuers import KMS
from sandbox import lifecycle
from sandbox.addresses import Addresses
from sandbox.environment import sdk_connection, sourced
from sandbox.zymkey.build import build
from sandbox.zymkey.device import SimulatedZymkey

from .comparison import Comparison, compare, report
from .installations import (
    boto3_installation,
    device_installation,
    install_simulated_zymkey,
    recipe_installation,
)
from .processes import Cost, clean_environment, measure
from .recipe import Recipe
from .wheel import REPOSITORY

TARGETS = {"cpu": 0.6, "memory": 0.8, "wall": 1.0}
HELP_TARGETS = {"cpu": 2.0, "wall": 2.0}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bootstrap", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    rounds = parser.parse_args().rounds
    device = device_installation()
    pythons = {"with": recipe_installation() / "python", "without": boto3_installation() / "python"}
    install_simulated_zymkey(device, build().library)
    with tempfile.TemporaryDirectory() as folder:
        whole = compare_bootstraps(Path(folder), device=device, pythons=pythons, rounds=rounds)
    return report("bootstrap", whole, compare_help(device, rounds=5 * rounds))


def compare_bootstraps(folder: Path, *, device: Path, pythons: Mapping[str, Path], rounds: int) -> Comparison:
    """Compare ``zymkey-iot bootstrap`` with the recipe's two ways.

    ``pythons`` run the recipe's scripts: one ``with`` all that its page tells a person to install, one ``without``
    pyOpenSSL, which botocore imports when it is there.
    """
    started = lifecycle.start(Addresses.from_environment(), KMS, print)
    zymkey = SimulatedZymkey(folder / "zymkey")
    environment = clean_environment({**sourced(started.environment_file), **zymkey.environment()})
    environment |= with_the_worlds_roots(folder, environment)
    iot = boto3.client("iot", **sdk_connection(environment))

    def recipe(python: Path) -> Recipe:
        policy = started.deployment.outputs["IotPolicy"]
        return Recipe(folder=folder, python=python, environment=environment, iot=iot, policy=policy)

    documented, leanest = recipe(pythons["with"]), recipe(pythons["without"])
    documented.prepare_own_ca()

    def ours() -> Cost:
        zymkey.swap()  # another device: with a new name it needs a new key
        name = new_name()
        invited = subprocess.run(
            [REPOSITORY / "bin" / "zymkey-fleet", "invite", name, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        token = json.loads(invited.stdout)["token"]
        return measure(
            *(device / "zymkey-iot", "bootstrap", "--name", name, "--state", folder / name),
            folder=folder,
            environment={**environment, "ZYMKEY_IOT_TOKEN": token},
        )

    return compare(
        "A bootstrap, from request to accepted publish",
        {
            "zymkey-iot bootstrap": ours,
            # First: the issuer here is an own CA, too.
            "recipe, own CA": lambda: documented.with_own_ca(new_name()),
            "recipe, Amazon's CA": lambda: documented.with_amazons_ca(new_name()),
            "the same without pyOpenSSL": lambda: leanest.with_amazons_ca(new_name()),
        },
        rounds=rounds,
        targets=TARGETS,
    )


def compare_help(device: Path, *, rounds: int) -> Comparison:
    """Compare ``zymkey-iot --help`` with a Python that does nothing."""
    environment = clean_environment({})

    def run(*command: str | Path) -> Cost:
        return measure(*command, folder=REPOSITORY, environment=environment)

    return compare(
        "zymkey-iot --help",
        {
            "zymkey-iot --help": lambda: run(device / "zymkey-iot", "--help"),
            "python -c pass": lambda: run(device / "python", "-c", "pass"),
        },
        rounds=rounds,
        targets=HELP_TARGETS,
    )


def with_the_worlds_roots(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Let both sides load as many roots as on AWS: about 140, which botocore and certifi bring."""
    variables = {}
    for variable in ("CA_BUNDLE", "AWS_CA_BUNDLE"):
        roots = folder / f"{variable}.pem"
        roots.write_text(Path(environment[variable]).read_text() + Path(certifi.where()).read_text())
        variables[variable] = str(roots)
    return variables


def new_name() -> str:
    return f"bench-{secrets.token_hex(4)}"


if __name__ == "__main__":
    raise SystemExit(main())
