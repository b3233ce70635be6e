"""The unmodified CDK app, deployed into the emulator with the real CDK command line.

Only four settings differ from what an account gets: the issuer that was asked for; the functions' code built for this
machine, because the emulator runs functions on it; and what the devices' programs may do, and a thing group that they
may be put into, so that both can be tried.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from .addresses import ACCOUNT, REGION, REPOSITORY, Addresses
from .environment import sdk_connection
from .errors import SandboxError
from .example_authority import ExampleAuthority

CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"

# What ``cdk bootstrap`` makes.
BOOTSTRAP_STACK = "CDKToolkit"

# What a deployment is made from. A change in any of these is a reason to deploy again.
SOURCES = [
    *("app.py", "cdk.json", "infra", "functions", "audit", "ledger", "pki"),
    *("requirements/functions.txt", "package-lock.json"),
]


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is deployed: a digest of all that it was made from, the stacks' outputs by name, and the credentials
    of its operator as AWS SDK variables."""

    digest: str
    outputs: Mapping[str, str]
    operator: Mapping[str, str]

    @property
    def issuer(self) -> str:
        return self.outputs["Issuer"]

    @property
    def enrollment_stack(self) -> str:
        return f"{self.outputs['Fleet']}-Enrollment"


def current_deployment(directory: Path) -> Deployment | None:
    """The last one that succeeded in this emulator, or None."""
    try:
        return Deployment(**json.loads(_record(directory).read_text()))
    except (FileNotFoundError, TypeError):
        return None


def record_deployment(directory: Path, deployment: Deployment) -> None:
    """Remember a deployment that is complete."""
    _record(directory).write_text(json.dumps(asdict(deployment), indent=2))


def forget_deployment(directory: Path) -> None:
    """An emulator that has just started holds nothing."""
    _record(directory).unlink(missing_ok=True)


# What the programs of the sandbox's devices may do in AWS: keep files, each device in its own folder of one bucket.
BUCKET = "sandbox-devices"
CREDENTIALS = {
    "statements": [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{BUCKET}/${{credentials-iot:ThingName}}/*",
        }
    ]
}


THING_GROUP = "sandbox-devices"
# With a limit, so that it can be seen how it looks.
EXPIRED_GRACE_DAYS = 30


def settings_for(issuer: str, authority: ExampleAuthority | None, app: Path = REPOSITORY) -> dict[str, str]:
    """cdk.json settings that the sandbox overrides, by their dotted names; of ``app``, which may be an old release."""
    settings = {"issuer": issuer, "bundleFor": "host"}
    known = json.loads((app / "cdk.json").read_text())["context"]["zymkey-fleet"]
    if "credentials" in known:
        settings["credentials"] = json.dumps(CREDENTIALS)
    if "things" in known:
        settings["things"] = json.dumps({"allowedGroups": [THING_GROUP]})
    if "expiredGraceDays" in known:
        settings["expiredGraceDays"] = str(EXPIRED_GRACE_DAYS)
    if authority is not None:
        settings["externalCertificateAuthority"] = authority.settings()
    return settings


def deployment_digest(settings: Mapping[str, str], app: Path = REPOSITORY) -> str:
    """Changes with the app's sources, with the overridden settings and with the files that these name."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    named = json.loads(settings.get("externalCertificateAuthority", "{}")).values()
    for path in [*_source_files(app), *map(Path, named)]:
        digest.update(str(path).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def deploy(
    addresses: Addresses, aws: Mapping[str, str], settings: Mapping[str, str], app: Path = REPOSITORY
) -> dict[str, str]:
    """``cdk bootstrap`` where it was not done yet, then ``cdk deploy`` of all stacks; the CLI's words go to deploy.log.

    Returns the stacks' outputs by name.

    Raises:
        SandboxError: the CLI fails. The error has the end of that log.
    """
    directory = addresses.directory
    forget_deployment(directory)
    environment = _cdk_environment(directory, aws)
    outputs_file = directory / "outputs.json"
    log = directory / "deploy.log"
    log.unlink(missing_ok=True)
    overrides = [f"--context=zymkey-fleet.{name}={value}" for name, value in settings.items()]
    # The CLI never removes an asset, and each is 40 MB.
    assembly = directory / "cdk.out"
    shutil.rmtree(assembly, ignore_errors=True)
    if not _is_bootstrapped(aws):
        # Away from cdk.json, or the CLI would run the app first, for nothing.
        _cdk(["bootstrap", f"aws://{ACCOUNT}/{REGION}", "--no-notices"], environment, log, folder=directory)
    _cdk(
        [
            "deploy",
            "--all",
            "--require-approval=never",
            "--no-notices",
            "--progress=events",
            f"--outputs-file={outputs_file}",
            f"--output={assembly}",
            *overrides,
        ],
        environment,
        log,
        folder=app,
    )
    stacks: dict[str, dict[str, str]] = json.loads(outputs_file.read_text())
    return {name: value for stack in stacks.values() for name, value in stack.items()}


def _is_bootstrapped(aws: Mapping[str, str]) -> bool:
    cloudformation = boto3.client("cloudformation", **sdk_connection(aws))
    try:
        (stack,) = cloudformation.describe_stacks(StackName=BOOTSTRAP_STACK)["Stacks"]
    except ClientError:  # there is none
        return False
    return stack["StackStatus"] == "CREATE_COMPLETE"


def _cdk(arguments: list[str], environment: Mapping[str, str], log: Path, *, folder: Path) -> None:
    if not CDK.exists():
        raise SandboxError("The CDK command line is not installed; `make setup` installs it.")
    with log.open("ab") as output:
        done = subprocess.run(
            [CDK, *arguments], cwd=folder, env=dict(environment), stdout=output, stderr=subprocess.STDOUT
        )
    if done.returncode != 0:
        # The rollback's progress would hide what it was for.
        lines = [line for line in log.read_text(errors="replace").splitlines() if " | DELETE_" not in line]
        end = "\n".join(lines[-20:])
        raise SandboxError(f"`cdk {arguments[0]}` failed. The end of {log}:\n{end}")


def _cdk_environment(directory: Path, aws: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, because building the bundle asks its package index, with the emulator's AWS."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("AWS_PROFILE", "AWS_SESSION_TOKEN")}
    return {
        **inherited,
        **aws,
        # The CLI remembers which account an access key belongs to; ours must not meet a real one's memory.
        "CDK_HOME": str(directory / "cdk"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "VIRTUAL_ENV": sys.prefix,
    }


def _source_files(app: Path) -> Iterator[Path]:
    for source in SOURCES:
        path = app / source
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in (".py", ".json"))
        elif path.exists():
            yield path


def _record(directory: Path) -> Path:
    return directory / "deployment.json"
