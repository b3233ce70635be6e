"""An AWS on loopback for the unit tests that need one: real conditional writes, and nothing to imitate by hand."""

import os
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.support.emulator import CREDENTIALS
from tests.support.ports import free_ports

SERVICES = "cloudformation,dynamodb,iam,iot,iot-data,kms,sts"
READY_SECONDS = 30
ROOT = str(Path(__file__).parents[2])
START = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
from sandbox import emulated_shadow_lists
emulated_shadow_lists.install()
from ministack.app import main
main()
"""


@pytest.fixture(scope="session")
def aws_address(tmp_path_factory):
    """The emulator's address. It starts in 0.3 s and keeps everything in memory."""
    folder = tmp_path_factory.mktemp("emulator")
    port = free_ports(1)[0]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": SERVICES,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        **CREDENTIALS,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", START, ROOT], env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process, folder / "log")
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def aws(aws_address):
    """A function that makes a client of one service. It never retries: a test sees every answer."""
    return _clients(aws_address)


@pytest.fixture(scope="session")
def aws_in(aws_address):
    """A function that gives ``aws`` of a Region: nothing of one is in another."""
    return cache(lambda region: _clients(aws_address, region))


@pytest.fixture(scope="session")
def breakable_aws(aws_address):
    """The same, but clients that ``tests.support.aws_faults`` may stand before."""
    return _clients(aws_address)


@pytest.fixture(scope="session")
def breakable_aws_in(aws_address):
    """A function that gives ``breakable_aws`` of a Region."""
    return cache(lambda region: _clients(aws_address, region))


def _clients(address, region="us-east-1"):
    session = boto3.session.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=region,
    )
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=32)
    return cache(lambda service: session.client(service, endpoint_url=address, config=config))


def _wait_until_ready(address, process, log):
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_ministack/ready", timeout=5):  # noqa: S310
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the emulator did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.02)
