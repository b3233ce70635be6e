"""The operator's command against a deployment that consists of a stack's outputs, a table and AWS IoT."""

from functools import cache

import pytest
from botocore.loaders import create_loader
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from fleet.cli import main
from pki.issuers import KMS
from tests.support.answer import Answer
from tests.support.emulator import CREDENTIALS
from tests.support.fleet.authority import CA, CA_KEY
from tests.support.fleet.deployment import deploy


@pytest.fixture(scope="session", autouse=True)
def sdk_models_are_read_once():
    """Each command makes a session of its own, which would read the services' models again: 0.1 s each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture
def operator_environment(aws_address, monkeypatch, tmp_path):
    """An operator with credentials, on a machine without AWS configuration."""
    for name in ("AWS_PROFILE", "ENROLLMENT_URL", "ZYMKEY_FLEET", "CA_BUNDLE", "AWS_CA_BUNDLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    values = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": aws_address,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(operator_environment, capsys):
    """A function that runs one command, by its words."""

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as usage:  # argparse: --help, or a wrong command line
            code = usage.code
        return Answer(code=code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture
def cloud(aws, operator_environment, monkeypatch):
    return deploy(aws, monkeypatch, KMS)


@pytest.fixture
def ca_files(tmp_path, monkeypatch):
    """The options that name the CA: its certificate, its encrypted key, the passphrase in the environment."""
    certificate, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    certificate.write_bytes(CA.public_bytes(Encoding.PEM))
    key.write_bytes(CA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")))
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    return "--ca-cert", certificate, "--ca-key", key
