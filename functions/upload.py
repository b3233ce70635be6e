"""Upload of a finished certificate: one that the fleet's CA signed elsewhere, for a key that may enroll.

The CA's signature proves the certificate. The ledger, or a token, tells which device the key belongs to.
"""

from datetime import UTC, datetime
from typing import Any

from functions.adopt import adopt
from functions.authorize import authorize
from functions.deployment import Deployment
from functions.log import about
from functions.request import Credentials
from pki.issued_certificate_checks import check_certificate_of_fleet
from pki.received_certificate import read_leaf


def upload(
    body: bytes, credentials: Credentials | None, *, source: str, now: int, deployment: Deployment
) -> dict[str, Any]:
    """Register a certificate, as PEM: the leaf alone, or the leaf with its chain.

    What is no certificate of this fleet's CA is refused before anything else: it may not wait for approval either.

    An upload that is repeated because its reply was lost is answered with a ``Conflict`` that says so.

    Raises:
        Refusal, LedgerError, CertificateError: why not.
        ClientError, BotoCoreError: an AWS call failed; the same upload again repairs it.
    """
    leaf = read_leaf(body, may_hold_key=False)
    fingerprint = leaf.fingerprint
    about(fingerprint=fingerprint)
    check_certificate_of_fleet(
        leaf, authorities=deployment.choices.ca_certificates, now=datetime.fromtimestamp(now, UTC)
    )
    authorized = authorize(fingerprint, "", credentials, source=source, now=now, deployment=deployment)
    about(device=authorized.name)
    certificate = adopt(leaf, authorized, now=now, deployment=deployment)
    return {
        "device": certificate.device,
        "certificateId": certificate.certificate_id,
        "notAfter": certificate.not_after,
    }
