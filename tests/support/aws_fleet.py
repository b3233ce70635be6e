"""A fleet as a test sees it: who wants to be a device, what the ledger remembers, and what AWS IoT holds."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ledger import Ledger, ThingProfile
from ledger.token import token_hash
from pki.fingerprint import certificate_id, key_fingerprint


def new_name(prefix: str = "pi") -> str:
    """A name that no other test uses."""
    return f"{prefix}-{secrets.token_hex(4)}"


def csr_body(key: Any, name: str, *, hash_algorithm: hashes.HashAlgorithm | None = hashes.SHA256()) -> bytes:  # noqa: B008
    """A CSR as EST wants it: base64 of the DER."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes)).sign(key, hash_algorithm)
    return base64.b64encode(csr.public_bytes(Encoding.DER))


@dataclass
class Candidate:
    """Somebody with a key who would like to be a device."""

    name: str = field(default_factory=new_name)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.public_key)

    @property
    def csr(self) -> bytes:
        return csr_body(self.key, self.name)


class Fleet:
    """One deployment's ledger, and AWS IoT beside it.

    Attributes:
        issuer: who signs: ``kms``, ``aws`` or ``external``.
        iot_policy: the name of the policy that each device's certificate gets.
    """

    def __init__(self, *, issuer: str, iot_policy: str, iot: Any, ledger: Ledger) -> None:
        self.issuer = issuer
        self.iot_policy = iot_policy
        self.iot = iot
        self.ledger = ledger

    def invite(self, candidate: Candidate, *, lasts: int = 3600, profile: ThingProfile | None = None) -> Candidate:
        """Let the first key in that shows the candidate's token."""
        now = int(time.time())
        self.ledger.invite(
            candidate.name,
            token_hash=token_hash(candidate.token),
            token_expires=now + lasts,
            by="test",
            now=now,
            profile=profile,
        )
        return candidate

    def allow(self, candidate: Candidate) -> Candidate:
        """Let the candidate's key in."""
        self.ledger.allow(candidate.name, fingerprint=candidate.fingerprint, by="test", now=int(time.time()))
        return candidate

    def certificates_of(self, name: str) -> dict[str, str]:
        """The certificates that are attached to a thing: id → status."""
        try:
            principals = self.iot.list_thing_principals(thingName=name)["principals"]
        except self.iot.exceptions.ResourceNotFoundException:
            return {}
        ids = [principal.rsplit("/", 1)[1] for principal in principals]
        return {each: self._describe(each)["status"] for each in ids}

    def status_of(self, certificate: x509.Certificate) -> str | None:
        """What AWS IoT says of a certificate; None when it has never seen it."""
        try:
            return str(self._describe(certificate_id(certificate))["status"])
        except self.iot.exceptions.ResourceNotFoundException:
            return None

    def policies_of(self, certificate: str) -> list[str]:
        """The policies that are attached to a certificate, by its id."""
        arn = self._describe(certificate)["certificateArn"]
        return [each["policyName"] for each in self.iot.list_attached_policies(target=arn)["policies"]]

    def is_powerless(self, certificate: str) -> bool:
        """Whether a certificate has neither policy nor thing, so that whoever holds its key may do nothing."""
        arn = self._describe(certificate)["certificateArn"]
        return not self.policies_of(certificate) and not self.iot.list_principal_things(principal=arn)["things"]

    def everything(self) -> set[str]:
        """Whatever AWS IoT holds: ids of certificates and names of things."""
        return {*(each["certificateId"] for each in self._certificates()), *self._things()}

    def _describe(self, certificate: str) -> dict[str, Any]:
        return self.iot.describe_certificate(certificateId=certificate)["certificateDescription"]

    def _certificates(self) -> Iterator[dict[str, Any]]:
        marker: dict[str, str] = {}
        while True:
            page = self.iot.list_certificates(pageSize=250, **marker)
            yield from page["certificates"]
            if not page.get("nextMarker"):
                return
            marker = {"marker": page["nextMarker"]}

    def _things(self) -> Iterator[str]:
        for page in self.iot.get_paginator("list_things").paginate():
            yield from (thing["thingName"] for thing in page["things"])


def assert_enrolled(fleet: Fleet, candidate: Candidate, certificate: x509.Certificate) -> None:
    """One active certificate, with the fleet's policy, and a ledger that says the same."""
    identifier = certificate_id(certificate)
    assert fleet.certificates_of(candidate.name) == {identifier: "ACTIVE"}
    assert fleet.policies_of(identifier) == [fleet.iot_policy]
    device = fleet.ledger.device(candidate.name)
    assert device is not None
    assert (device.state, device.certificate_id, device.unfinished) == ("enrolled", identifier, None)
    assert device.fingerprint == candidate.fingerprint == key_fingerprint(certificate.public_key())
    active = [each.certificate_id for each in fleet.ledger.certificates(candidate.name) if each.state == "active"]
    assert active == [identifier]
