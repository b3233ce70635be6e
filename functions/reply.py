"""Replies, encoded for an HTTP API. Strict in what goes out: some EST clients fail on anything else."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from functions.refusals import Refusal

# A certificate and the configuration in one document: what a device needs that has asked for nothing yet.
ENROLLMENT_TYPE = "application/vnd.zymkey-fleet.enrollment+json"

# In characters. A sentence may quote what a stranger sent, such as an issuer as long as a certificate may be.
_LONGEST_SENTENCE = 1000


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply with a text body."""

    status: int
    content_type: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> dict[str, Any]:
        """The reply as the HTTP API takes it from a function (payload format 2.0)."""
        return {
            "statusCode": self.status,
            "headers": {"Content-Type": self.content_type, "Cache-Control": "no-store", **self.headers},
            "body": self.body,
            "isBase64Encoded": False,
        }


def issued(certificate: x509.Certificate) -> Reply:
    """A certs-only PKCS#7 with the issued certificate and no other (RFC 7030 section 4.2.3)."""
    return _pkcs7([certificate], "application/pkcs7-mime; smime-type=certs-only")


def enrolled(certificate: x509.Certificate, configuration: Mapping[str, Any]) -> Reply:
    """The issued certificate as PEM, and the document that tells the device where to go with it."""
    pem = certificate.public_bytes(Encoding.PEM).decode("ascii")
    content = {"certificate": pem, "configuration": configuration}
    return Reply(status=200, content_type=ENROLLMENT_TYPE, body=json.dumps(content))


def ca_certificates(certificates: Sequence[x509.Certificate]) -> Reply:
    """A certs-only PKCS#7 with the CA certificates (RFC 7030 section 4.1.3)."""
    return _pkcs7(certificates, "application/pkcs7-mime")


def document(content: Mapping[str, Any]) -> Reply:
    """A JSON document."""
    return Reply(status=200, content_type="application/json", body=json.dumps(content))


def refusal(error: Refusal) -> Reply:
    """One sentence (RFC 7030 section 4.2.3 lets an error be text/plain)."""
    sentence = error.sentence
    if len(sentence) > _LONGEST_SENTENCE:
        sentence = sentence[:_LONGEST_SENTENCE] + " …"
    return Reply(
        status=error.status,
        content_type="text/plain; charset=utf-8",
        body=sentence + "\n",
        headers=error.headers,
    )


def _pkcs7(certificates: Sequence[x509.Certificate], content_type: str) -> Reply:
    # Imported when it is needed: to import it takes as long as to answer.
    from cryptography.hazmat.primitives.serialization import pkcs7

    der = pkcs7.serialize_certificates(list(certificates), Encoding.DER)
    return Reply(
        status=200,
        content_type=content_type,
        body=base64.b64encode(der).decode("ascii"),
        # RFC 8951 lets clients ignore it; older clients look for it.
        headers={"Content-Transfer-Encoding": "base64"},
    )
