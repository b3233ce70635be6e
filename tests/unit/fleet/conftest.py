"""The operator's command against a deployment that consists of a stack's outputs, a table and AWS IoT."""

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from pki.issuers import KMS
from tests.support.fleet.authority import CA, CA_KEY
from tests.support.fleet.calls import calls, paces
from tests.support.fleet.command import operator_environment, run, sdk_models_are_read_once
from tests.support.fleet.deployment import deploy

__all__ = ["calls", "operator_environment", "paces", "run", "sdk_models_are_read_once"]


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
