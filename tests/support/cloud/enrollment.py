"""What the end-to-end tests of enrollment share: invitations, CSRs, plain HTTP, and a look into AWS IoT."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

from ledger import Ledger
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


class Cloud:
    """The deployment as a test sees it: its endpoint, its ledger, and AWS IoT behind it."""

    def __init__(self, sandbox: Any) -> None:
        self.url: str = sandbox.url
        self.ca_bundle: str = sandbox.env["CA_BUNDLE"]
        self.iot = sandbox.boto("iot")
        stack = sandbox.boto("cloudformation").describe_stacks(StackName="zymkey-Enrollment")["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.issuer = self.outputs["Issuer"]
        self.ledger = Ledger(client=sandbox.boto("dynamodb"), table=self.outputs["LedgerTable"])
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = sandbox.env["CA_BUNDLE"]

    def invite(self, candidate: Candidate, *, lasts: int = 3600) -> Candidate:
        now = int(time.time())
        token_hash = hashlib.sha256(candidate.token.encode()).hexdigest()
        self.ledger.invite(candidate.name, token_hash=token_hash, token_expires=now + lasts, by="test", now=now)
        return candidate

    def get(self, path: str) -> requests.Response:
        return self._http.get(self.url + path, timeout=30)

    def post(
        self, path: str, body: bytes, *, credentials: tuple[str, str] | None = None, content_type="application/pkcs10"
    ) -> requests.Response:
        return self._http.post(
            self.url + path, data=body, auth=credentials, headers={"Content-Type": content_type}, timeout=30
        )

    def enroll(self, candidate: Candidate, *, with_token: bool = True, operation="simpleenroll") -> requests.Response:
        credentials = (candidate.name, candidate.token) if with_token else None
        return self.post(f"/.well-known/est/{operation}", candidate.csr, credentials=credentials)

    def certificates_of(self, name: str) -> dict[str, str]:
        """The certificates that are attached to a thing: id → status."""
        try:
            principals = self.iot.list_thing_principals(thingName=name)["principals"]
        except self.iot.exceptions.ResourceNotFoundException:
            return {}
        ids = [principal.rsplit("/", 1)[1] for principal in principals]
        return {each: self._describe(each)["status"] for each in ids}

    def policies_of(self, certificate: str) -> list[str]:
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


def issued(reply: requests.Response) -> x509.Certificate:
    """The one certificate of an EST reply."""
    assert reply.status_code == 200, f"{reply.status_code} {reply.text}"
    assert reply.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.content, validate=True))
    return certificate


def assert_enrolled(cloud: Cloud, candidate: Candidate, certificate: x509.Certificate) -> None:
    """One active certificate, with the fleet's policy, and a ledger that says the same."""
    identifier = certificate_id(certificate)
    assert cloud.certificates_of(candidate.name) == {identifier: "ACTIVE"}
    assert cloud.policies_of(identifier) == [cloud.outputs["IotPolicy"]]
    device = cloud.ledger.device(candidate.name)
    assert device is not None
    assert (device.state, device.certificate_id, device.unfinished) == ("enrolled", identifier, None)
    assert device.fingerprint == candidate.fingerprint == key_fingerprint(certificate.public_key())
    active = [each.certificate_id for each in cloud.ledger.certificates(candidate.name) if each.state == "active"]
    assert active == [identifier]


def issued_by_function(reply: dict[str, Any]) -> x509.Certificate:
    """The one certificate of a reply as the function itself gives it."""
    assert reply["statusCode"] == 200, reply["body"]
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply["body"], validate=True))
    return certificate
