"""Enrollment over EST (RFC 7030, clarified by RFC 8951): send a CSR, receive a certificate.

Authorization is HTTP Basic (device name, token) or, without credentials, the key itself when the operator has allowed
it. When the same key asks again, that is a retry or a renewal: the cloud sends the same certificate until it is due.
"""

import base64
import binascii
import datetime
import json
from dataclasses import dataclass

from . import https
from .certificate import DeviceCertificate
from .cures import LATER, TELL_OPERATOR
from .errors import (
    Busy,
    CertificateUnusable,
    DeviceError,
    EnrollmentRefused,
    Pending,
    Queued,
    RequestRefused,
    UnexpectedReply,
)
from .keys import DeviceKey
from .network import Network

PATH = "/.well-known/est"
# In seconds, for a 202 without the Retry-After that RFC 7030 section 4.2.3 asks for.
DEFAULT_RETRY_AFTER = 30.0
WITH_CONFIGURATION = "application/vnd.zymkey-fleet.enrollment+json"
"""The certificate in PEM and the configuration in one JSON object: a bootstrap needs one request. A cloud of an earlier
release does not know it, and sends what EST has."""

_PKCS7 = "application/pkcs7-mime"
_LONGEST_PLACE = 12


@dataclass(frozen=True)
class Issued:
    """What the cloud has sent. ``configuration`` is its document where it came with the certificate, not checked yet: a
    certificate is kept whatever came with it, or did not come."""

    certificate: DeviceCertificate
    configuration: bytes | None = None


def enroll(
    url: str,
    csr: bytes,
    *,
    name: str,
    token: str | None,
    key: DeviceKey,
    network: Network,
    operation: str = "simpleenroll",
) -> Issued:
    """Ask once.

    Args:
        csr: in DER.
        operation: ``simpleenroll`` or ``simplereenroll``.

    Raises:
        Pending: 202; worth asking again.
        Queued: 202 with this device's turn in the fleet's queue.
        Busy: 429 or 5xx; worth asking again.
        EnrollmentRefused: 400, 401, 403, 404.
        UnexpectedReply: the answer is none that EST allows.
        NetworkError, ServerNotTrusted: as ``https.request`` raises them.
    """
    # RFC 8951 section 3.1: base64, and no Content-Transfer-Encoding header.
    headers = {"Content-Type": "application/pkcs10", "Accept": f"{WITH_CONFIGURATION}, {_PKCS7};q=0.9"}
    headers |= authorization(name, token)
    reply = https.request(
        "POST", f"{url}{PATH}/{operation}", network=network, headers=headers, body=base64.b64encode(csr)
    )
    if reply.status != 200:
        raise refusal(reply, url=url, name=name, token=token, key=key)
    return _issued(reply, key)


def ca_certificates(url: str, *, network: Network) -> list[DeviceCertificate]:
    """The certificates of the fleet's CAs (RFC 7030 section 4.1).

    Raises:
        Busy: 429 or 5xx; worth asking again.
        UnexpectedReply: the fleet does not send them.
        NetworkError, ServerNotTrusted: as ``https.request`` raises them.
    """
    reply = https.request("GET", f"{url}{PATH}/cacerts", network=network)
    if reply.status == 429 or reply.status >= 500:
        raise Busy(
            f"the cloud cannot send the CA certificates now ({reply.status}).",
            cure=LATER,
            retry_after=reply.retry_after,
        )
    if reply.status != 200:
        raise UnexpectedReply(
            f"the fleet does not publish the certificates of its CAs ({reply.status}).", cure=TELL_OPERATOR
        )
    return _certificates(reply)


def authorization(name: str, token: str | None) -> dict[str, str]:
    """The header with name and token; none without a token, when the key alone says who asks."""
    if not token:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


def _issued(reply: https.Reply, key: DeviceKey) -> Issued:
    """The certificate for this key: in the JSON object that was asked for, or alone in a certs-only PKCS#7.

    The second is EST's (RFC 7030 section 4.2.3), and holds exactly one.
    """
    if reply.headers.get("content-type", "").partition(";")[0].strip().lower() == WITH_CONFIGURATION:
        issued = _with_configuration(reply)
    else:
        certificates = _certificates(reply)
        if len(certificates) != 1:
            raise UnexpectedReply(
                f"the enrollment service sent {len(certificates)} certificates instead of one.", cure=TELL_OPERATOR
            )
        issued = Issued(certificates[0])
    if not issued.certificate.is_for(key.public_key()):
        raise UnexpectedReply("the enrollment service sent a certificate for another key.", cure=TELL_OPERATOR)
    return issued


def _with_configuration(reply: https.Reply) -> Issued:
    try:
        members = json.loads(reply.body)
        pem, configuration = members["certificate"].encode(), members.get("configuration")
        if pem.count(b"-----BEGIN") != 1:  # of several, the first would be taken
            raise ValueError
        document = None if configuration is None else json.dumps(configuration).encode()
        return Issued(DeviceCertificate.from_pem(pem, source="the reply"), document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, CertificateUnusable):
        raise _no_certificate() from None


def _certificates(reply: https.Reply) -> list[DeviceCertificate]:
    # Imported here: it imports Python's email package, and only an enrollment needs it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import pkcs7

    try:
        return [DeviceCertificate(each) for each in pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.body))]
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise _no_certificate() from None


def _no_certificate() -> UnexpectedReply:
    return UnexpectedReply(
        "the enrollment service answered 200, but did not send a certificate.",
        cure="check the enrollment URL, and that no proxy changes replies",
    )


def refusal(reply: https.Reply, *, url: str, name: str, token: str | None, key: DeviceKey) -> DeviceError:
    """What an answer other than 200 means, for a CSR and for a finished certificate alike."""
    said = reply.sentence()
    if token:
        said = said.replace(token, "…")  # what a server repeats does not get into a log
    because = f": {said}." if said else "."
    if reply.status == 202:
        retry_after = DEFAULT_RETRY_AFTER if reply.retry_after is None else reply.retry_after
        place = reply.headers.get("zymkey-place", "").strip()
        if place.isascii() and place.isdigit() and len(place) <= _LONGEST_PLACE:
            return _queued(name, int(place), retry_after)
        return Pending(
            f"{name} has to wait{because}",
            cure=f"ask the operator to approve this device (zymkey-fleet pending); its key is {key.fingerprint}",
            retry_after=retry_after,
        )
    if reply.status == 401:
        cure = (
            f"ask the operator for a new token: zymkey-fleet invite {name}; or to allow this key without a token:"
            f" zymkey-fleet allow {name} --key {key.fingerprint}; if another device has that name: --name ANOTHER"
        )
        if token:
            return EnrollmentRefused(
                f"the fleet did not accept the token for the name {name} (401){because}", cure=cure
            )
        return EnrollmentRefused(
            f"the fleet does not know {name} with the key {key.fingerprint} (401){because}", cure=cure
        )
    if reply.status == 403:
        return EnrollmentRefused(
            f"the fleet does not allow {name} to enroll (403){because}",
            cure=f"ask the operator, who sees why with zymkey-fleet list; this device's key is {key.fingerprint}",
        )
    if reply.status in (404, 405):
        return EnrollmentRefused(
            f"there is no enrollment service at {url} ({reply.status}).",
            cure="check the enrollment URL: zymkey-fleet invite prints it; it is the stack's output EnrollmentUrl",
        )
    if reply.status == 429 and said and reply.retry_after is not None:  # API Gateway's own has neither
        return Busy(
            f"the fleet takes no more requests of {name} for now (429){because}",
            cure=f"the same command again after {_moment(_after(reply.retry_after))}; or ask the operator",
            retry_after=reply.retry_after,
        )
    if reply.status == 429 or reply.status >= 500:
        return Busy(
            f"the enrollment service is busy or failing ({reply.status}){because}",
            cure=LATER,
            retry_after=reply.retry_after,
        )
    if 300 <= reply.status < 400:
        return UnexpectedReply(
            f"{url} answers with a redirect ({reply.status}), and the token must not be sent elsewhere.",
            cure="use the URL that it redirects to",
        )
    kind = RequestRefused if reply.status == 400 else EnrollmentRefused
    return kind(f"the enrollment service refused the request ({reply.status}){because}", cure=TELL_OPERATOR)


def _queued(name: str, come_first: int, retry_after: float) -> Queued:
    until = _after(retry_after)
    first = {0: "it comes next", 1: "1 device comes first"}.get(come_first, f"{come_first:,} devices come first")
    return Queued(
        f"{name} is let in, and has its turn in the fleet's queue: {first}, and its turn is about {_moment(until)}.",
        come_first=come_first,
        until=until.isoformat(timespec="seconds"),
        cure="sudo zymkey-iot wait, which waits for the turn; or the same command again then",
        retry_after=retry_after,
    )


def _after(seconds: float) -> datetime.datetime:
    """So long from now. What is no time that a clock can show is as wrong tomorrow; ``retry`` bounds the wait."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=min(seconds, 366 * 86400.0))


def _moment(when: datetime.datetime) -> str:
    """A time of today, or with its date."""
    is_today = when.date() == datetime.datetime.now(datetime.UTC).date()
    return f"{when:%H:%M:%S} UTC" if is_today else f"{when:%Y-%m-%d %H:%M:%S} UTC"
