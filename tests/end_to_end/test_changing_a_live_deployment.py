"""Changing what is deployed, with a device in the field: what must not happen to it, and what must happen instead.

In an emulator of its own: nothing here may touch the sandbox of the other tests.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from pki.fingerprint import certificate_id
from sandbox.addresses import REPOSITORY, Addresses
from sandbox.certificates import ensure_server_certificates
from sandbox.deployment import CDK, deploy
from sandbox.emulator import emulator_process, ensure_emulator
from sandbox.environment import aws_environment, reachable_enrollment_url, sdk_connection
from sandbox.errors import SandboxError
from sandbox.permissions import adapt_roles
from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, issued

CA = {"name": "2026", "commonName": "fleet CA", "organization": "Acme", "validityYears": 20}


@dataclass
class Account:
    """An AWS account with nothing in it but what a test deploys."""

    addresses: Addresses
    env: dict[str, str]
    url: str = ""

    def boto(self, service: str, **options: Any) -> Any:
        return boto3.client(service, **sdk_connection(self.env), **options)  # type: ignore[call-overload]

    def deploy(self, *, issuer: str, cas: list[dict[str, Any]]) -> Cloud:
        settings = {"bundleFor": "host", "issuer": issuer, "certificateAuthorities": json.dumps(cas)}
        outputs = deploy(self.addresses, self.env, settings)
        adapt_roles(self.boto("iam"), self.boto("cloudformation"), "zymkey-Enrollment")
        self.url = reachable_enrollment_url(self.addresses, outputs["EnrollmentUrl"])
        return Cloud(self)

    def destroy(self) -> None:
        """`cdk destroy` of both stacks."""
        environment = {**os.environ, **self.env, "CDK_HOME": str(self.addresses.directory / "cdk")}
        command = [CDK, "destroy", "--all", "--force", "--output", self.addresses.directory / "cdk.out"]
        done = subprocess.run(
            [*command, "-c", "zymkey-fleet.bundleFor=host"],
            cwd=REPOSITORY,
            env=environment | {"VIRTUAL_ENV": sys.prefix},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def what_cdk_said(self) -> str:
        """The last deployment's log, without the line breaks that the command line puts into sentences."""
        return " ".join((self.addresses.directory / "deploy.log").read_text(errors="replace").split())

    def ca_states(self) -> dict[str, str]:
        """Every CA that AWS IoT knows: id → status."""
        return {
            each["certificateId"]: each["status"] for each in self.boto("iot").list_ca_certificates()["certificates"]
        }


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    directory = tmp_path_factory.mktemp("account")
    ports = [_free_port() for _ in range(3)]
    addresses = Addresses(gateway_port=ports[0], https_port=ports[1], mqtt_port=ports[2], directory=directory)
    certificates = ensure_server_certificates(directory)
    ensure_emulator(addresses, certificates)
    environment = aws_environment(addresses, certificates)
    yield Account(addresses=addresses, env={**environment, "CA_BUNDLE": str(certificates.root)})
    emulator_process(addresses).stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def shown_cas(cloud: Cloud) -> list[x509.Certificate]:
    """What devices are told: EST cacerts."""
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(cloud.get("/.well-known/est/cacerts").content))


def test_a_device_in_the_field_outlives_refused_changes_new_cas_another_issuer_and_the_stacks_themselves(
    account: Account,
) -> None:
    cloud = account.deploy(issuer="kms", cas=[CA])
    device = cloud.invite(Candidate())
    certificate = issued(cloud.enroll(device))
    (first,) = shown_cas(cloud)
    certificate.verify_directly_issued_by(first)

    # A changed subject would be another CA under the same name: the deployment fails, says why, and takes it back.
    with pytest.raises(SandboxError):
        account.deploy(issuer="kms", cas=[CA | {"commonName": "another CA"}])
    assert "cannot become CN=another CA,O=Acme" in account.what_cdk_said()
    assert "add another after it, under a new name" in account.what_cdk_said()
    assert shown_cas(cloud) == [first]
    assert_enrolled(cloud, device, certificate)

    # A second CA issues from now on. The first one's certificates stay what they are, and are given out again.
    cloud = account.deploy(issuer="kms", cas=[CA, CA | {"name": "2027"}])
    (second,) = set(shown_cas(cloud)) - {first}  # without order: in DER a set is sorted by its bytes
    assert first in shown_cas(cloud)
    registered = {certificate_id(first): "ACTIVE", certificate_id(second): "ACTIVE"}
    assert account.ca_states() == registered
    assert issued(cloud.enroll(device, with_token=False)) == certificate
    newcomer = cloud.invite(Candidate())
    newcomers = issued(cloud.enroll(newcomer))
    newcomers.verify_directly_issued_by(second)
    assert_enrolled(cloud, device, certificate)
    assert_enrolled(cloud, newcomer, newcomers)

    # Another issuer: same address, same ledger, same policy; the CAs stay registered, the certificates active.
    before = cloud.outputs
    cloud = account.deploy(issuer="aws", cas=[CA])
    assert {**before, "Issuer": "aws"} == cloud.outputs
    assert account.ca_states() == registered
    assert issued(cloud.enroll(device, with_token=False)) == certificate
    assert_enrolled(cloud, device, certificate)
    assert_enrolled(cloud, newcomer, newcomers)
    amazons = cloud.invite(Candidate())
    assert_enrolled(cloud, amazons, issued(cloud.enroll(amazons)))

    # Destroying gets stuck on nothing and takes nothing away: policy, certificates, CAs and ledger are kept.
    account.destroy()
    assert account.ca_states() == registered
    assert_enrolled(cloud, device, certificate)
    assert_enrolled(cloud, newcomer, newcomers)
