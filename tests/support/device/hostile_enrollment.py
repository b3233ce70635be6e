"""Answers to a CSR, with certificates as nobody asked for them."""

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.device.authority import Authority, certs_only, common_name
from tests.support.device.hostile_replies import response
from tests.support.device.hostile_server import Script, Visit
from tests.support.device.victim import Victim


def pkcs7(*certificates: x509.Certificate) -> bytes:
    return response(base64.b64encode(certs_only(*certificates)), "Content-Type: application/pkcs7-mime")


def enrolling(victim: Victim, authority: Authority, **changes: Any) -> x509.Certificate:
    """A certificate for the device's own key."""
    key = serialization.load_pem_private_key((victim.state / "key.pem").read_bytes(), None)
    public_key = key.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    return authority.issue(public_key, changes.pop("subject", common_name("pi-7")), **changes)


def pkcs7_of(wrapped: bytes, old: bytes, new: bytes) -> bytes:
    assert old in wrapped
    assert len(old) == len(new)
    return response(base64.b64encode(wrapped.replace(old, new)))


def enrolls_with(enrollment: bytes, *, configuration: bytes) -> Script:
    """Answer a CSR with one, and what else is asked for with the other."""

    def script(visit: Visit) -> None:
        visit.secure()
        wants_certificate = b"/simple" in visit.request().partition(b"\r\n")[0]
        visit.send(enrollment if wants_certificate else response(configuration, "Content-Type: application/json"))

    return script
