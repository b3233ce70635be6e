"""Certificates of other systems in the same account, and odd ones from the deployment, end no command."""

from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from audit import iot
from audit.judgement import Registered
from audit.survey import Survey
from fleet.enrollment_api import read_certificates
from fleet.errors import UnexpectedReply
from pki.armour import armour
from tests.support.fleet.authority import issue, new_key

P_256 = bytes.fromhex("06082a8648ce3d030107")
REGISTERED = Registered(
    certificate_id="00", arn="arn:aws:iot:::cert/00", is_active=True, created_at=0, is_permitted=False
)


def aws_iot(pem):
    """AWS IoT, with one certificate of somebody."""
    reply = {"certificateDescription": {"certificatePem": pem}}
    return SimpleNamespace(
        describe_certificate=lambda **_: reply, list_principal_things=lambda **_: {"things": ["a-thing"]}
    )


class Unasked:
    """A ledger that nobody may ask for what no device is called."""

    def certificate(self, name, _certificate_id):
        assert name == "a-thing"

    def owner_of_key(self, _fingerprint):
        return None


ODD = {
    "another curve": armour(
        "CERTIFICATE", issue(new_key()).public_bytes(Encoding.DER).replace(P_256, P_256[:-1] + b"\x0f")
    ),
    "no DER": armour("CERTIFICATE", b"hello"),
    "no PEM": "hello, world",
    "nothing": "",
    "a name that no device has": issue(new_key(), "Ein Gerät").public_bytes(Encoding.PEM).decode(),
}


@pytest.mark.parametrize("pem", ODD.values(), ids=ODD)
def test_an_audit_passes_by_what_it_cannot_read(pem):
    survey = Survey(iot=aws_iot(pem), ledger=Unasked(), policy="fleet", issuer="aws", grace_seconds=0, now=0)
    assert survey._owner(REGISTERED) is None
    assert survey._unfinished(REGISTERED) is None


def test_what_an_audit_can_read_it_reads():
    certificate = issue(new_key())
    content = iot.content(REGISTERED.certificate_id, aws_iot(certificate.public_bytes(Encoding.PEM).decode()))
    assert content.certificate == certificate


@pytest.mark.parametrize("body", [b"", b"AAAA", b"\xff\xfe", b"MAA=", b"hello world"])
def test_a_reply_that_holds_no_certificates_is_told(body):
    reply = SimpleNamespace(content=body, url="https://x/cacerts", status_code=200, text="x")
    with pytest.raises(UnexpectedReply):
        read_certificates(reply)
