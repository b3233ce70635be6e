"""An emulator with a fleet in it, and a deployment that ``zymkey-fleet`` finds. It stands by itself: no sandbox."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from benchmarks.scale.seeding import FLEET, POLICY, TABLE
from benchmarks.wheel import REPOSITORY

_READY_SECONDS = 300
_SERVICES = "cloudformation,dynamodb,iot,kms,sts"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A running emulator.

    Attributes:
        environment: what points the operator's command at it.
        table_bytes: what the ledger's items take, as DynamoDB counts.
        index_bytes: what those of the index ``listing`` take.
    """

    environment: dict[str, str]
    table_bytes: int
    index_bytes: int


@contextmanager
def cloud(folder: Path, *, devices: int, with_faults: bool = False) -> Iterator[Cloud]:
    """Start an emulator with so many devices, and end it after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": _SERVICES,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        **credentials,
    }
    address = f"http://127.0.0.1:{port}"
    operator = {
        "PATH": environment["PATH"],
        "HOME": str(folder),
        **credentials,
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ZYMKEY_FLEET": FLEET,
    }
    log = folder / "emulator.log"
    command = [sys.executable, "-m", "benchmarks.scale.seeding", str(devices), "faults" if with_faults else "sound"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(address, process, log)
        _declare(operator)
        sizes = next(line for line in log.read_text().splitlines() if line.startswith("table ")).split()
        yield Cloud(environment=operator, table_bytes=int(sizes[1]), index_bytes=int(sizes[3]))
    finally:
        process.kill()
        process.wait()


def _declare(environment: dict[str, str]) -> None:
    """The outputs by which the command finds a deployment."""
    outputs = {
        "EnrollmentUrl": "https://enroll.example.com/",
        "LedgerTable": TABLE,
        "IotPolicy": POLICY,
        "Issuer": "kms",
        "Fleet": FLEET,
    }
    template = {
        "Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client(
        "cloudformation",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    ).create_stack(StackName=f"{FLEET}-Enrollment", TemplateBody=json.dumps(template))


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_ministack/ready", timeout=5):  # noqa: S310
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The emulator did not start:\n{log.read_text()}") from None
            time.sleep(0.1)
