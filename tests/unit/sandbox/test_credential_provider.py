"""The sandbox's credential provider gives nothing to a certificate that AWS IoT has not accepted."""

import datetime
import json
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509

from sandbox.data_endpoint.credentials import CredentialProvider
from sandbox.data_endpoint.publishing import Reply, Session
from sandbox.data_endpoint.registry import PENDING, RegisteredCertificate

ARN = "arn:aws:iot:us-east-1:000000000000:cert/ab12"
END = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def ask(status: str) -> Reply:
    """The answer to a certificate whose policy allows the alias. AWS's clients are stubs that allow everything."""
    allowed = {"Effect": "Allow", "Action": "iot:AssumeRoleWithCertificate", "Resource": "*"}
    registry: Any = SimpleNamespace(policies=lambda _: [json.dumps({"Version": "2012-10-17", "Statement": allowed})])
    role = {"roleAliasDescription": {"roleArn": "arn:aws:iam::000000000000:role/r", "credentialDurationSeconds": 900}}
    iot: Any = SimpleNamespace(describe_role_alias=lambda **_: role)
    iam: Any = SimpleNamespace(get_role=lambda **_: {"Role": {}})
    given = {"AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": END}
    sts: Any = SimpleNamespace(assume_role=lambda **_: {"Credentials": given})
    registered = RegisteredCertificate(
        certificate_id="ab12", arn=ARN, status=status, created_at=END, ca_certificate_id="cd34"
    )
    certificate: Any = SimpleNamespace(subject=x509.Name([]))
    session = Session(certificate=certificate, registered=registered)
    return CredentialProvider(registry, iot, iam, sts).answer(session, "GET", "/role-aliases/a/credentials", {})


def test_an_active_certificate_gets_what_its_policy_allows() -> None:
    assert ask("ACTIVE").status == 200


@pytest.mark.parametrize("status", [PENDING, "INACTIVE", "REVOKED"])
def test_a_certificate_that_is_not_active_gets_none(status: str) -> None:
    refusal = ask(status)
    assert (refusal.status, refusal.body) == (403, {"message": "Certificate is invalid on this endpoint"})
