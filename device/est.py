"""Enrollment over EST (RFC 7030, clarified by RFC 8951): a CSR goes, a certificate comes.

Authorization is HTTP Basic (device name, token) or, without credentials, the key itself when the operator
has allowed it. The same key asking again is a retry or a renewal, and gets the same certificate while that
one is fresh.
"""

import base64
import binascii
import ssl

from . import https
from .certificate import DeviceCertificate
from .errors import Busy, DeviceError, EnrollmentRefused, Pending, UnexpectedReply
from .keys import DeviceKey

PATH = "/.well-known/est"
# What 202 without the Retry-After that RFC 7030 section 4.2.3 asks for gets.
DEFAULT_RETRY_AFTER = 30.0


def enroll(
    url: str,
    csr: bytes,
    *,
    name: str,
    token: str | None,
    key: DeviceKey,
    context: ssl.SSLContext,
    operation: str = "simpleenroll",
) -> DeviceCertificate:
    """Ask once. `csr` is DER; `operation` is `simpleenroll` or `simplereenroll`.

    Raises Pending (202) and Busy (429, 5xx), which are worth asking again, EnrollmentRefused (400, 401, 403,
    404), UnexpectedReply for anything that EST does not allow, and what `https.request` raises.
    """
    # RFC 8951 section 3.1: base64, and no Content-Transfer-Encoding header.
    headers = {"Content-Type": "application/pkcs10", "Accept": "application/pkcs7-mime"}
    headers |= authorization(name, token)
    reply = https.request(
        "POST", f"{url}{PATH}/{operation}", context=context, headers=headers, body=base64.b64encode(csr)
    )
    if reply.status != 200:
        raise refusal(reply, url=url, name=name, token=token, key=key)
    return _issued(reply, key)


def ca_certificates(url: str, *, context: ssl.SSLContext) -> list[DeviceCertificate]:
    """The certificates of the fleet's CAs (RFC 7030 section 4.1). Raises Busy, UnexpectedReply, as `https.request`."""
    reply = https.request("GET", f"{url}{PATH}/cacerts", context=context)
    if reply.status == 429 or reply.status >= 500:
        raise Busy(f"the CA certificates cannot be had now ({reply.status}).", retry_after=reply.retry_after)
    if reply.status != 200:
        raise UnexpectedReply(f"the fleet does not show the certificates of its CAs ({reply.status}).")
    return _certificates(reply)


def authorization(name: str, token: str | None) -> dict[str, str]:
    """The header that says who asks; none when the key alone says it."""
    if not token:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


def _issued(reply: https.Reply, key: DeviceKey) -> DeviceCertificate:
    """The certificate in a certs-only PKCS#7 (RFC 7030 section 4.2.3): exactly one, and for our key."""
    certificates = _certificates(reply)
    if len(certificates) != 1:
        raise UnexpectedReply(f"the enrollment service sent {len(certificates)} certificates and not one.")
    if not certificates[0].is_for(key.public_key()):
        raise UnexpectedReply("the enrollment service sent a certificate for another key than this device's.")
    return certificates[0]


def _certificates(reply: https.Reply) -> list[DeviceCertificate]:
    # Imported here: it brings in Python's email package, and only an enrollment needs it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import pkcs7

    try:
        return [DeviceCertificate(each) for each in pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.body))]
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise UnexpectedReply(
            "the enrollment service answered 200 with something that is no certificate.",
            cure="check that the URL is the fleet's enrollment URL and no proxy changes replies",
        ) from None


def refusal(reply: https.Reply, *, url: str, name: str, token: str | None, key: DeviceKey) -> DeviceError:
    """What an answer other than 200 means; the same for a CSR as for a finished certificate."""
    said = reply.sentence()
    because = f": {said}." if said else "."
    if reply.status == 202:
        return Pending(
            f"{name} has to wait{because}",
            cure=f"zymkey-fleet pending, which shows the operator who waits; this device's key is {key.fingerprint}",
            retry_after=DEFAULT_RETRY_AFTER if reply.retry_after is None else reply.retry_after,
        )
    if reply.status == 401:
        cure = (
            f"a new token: zymkey-fleet invite {name}; or, without any token:"
            f" zymkey-fleet allow {name} --key {key.fingerprint}"
        )
        if token:
            return EnrollmentRefused(f"the token was not accepted for the name {name} (401){because}", cure=cure)
        return EnrollmentRefused(f"{name} with key {key.fingerprint} is not known (401){because}", cure=cure)
    if reply.status == 403:
        return EnrollmentRefused(
            f"the fleet does not let {name} in (403){because}",
            cure=f"the operator sees why: zymkey-fleet list; this device's key is {key.fingerprint}",
        )
    if reply.status in (404, 405):
        return EnrollmentRefused(
            f"there is no enrollment service at {url} ({reply.status})",
            cure="the URL is the output EnrollmentUrl of the stack; zymkey-fleet invite prints it too",
        )
    if reply.status == 429 or reply.status >= 500:
        return Busy(
            f"the enrollment service is busy or out of order ({reply.status}){because}",
            cure="it is worth asking again later; --give-up-after 1h waits longer",
            retry_after=reply.retry_after,
        )
    if 300 <= reply.status < 400:
        return UnexpectedReply(
            f"{url} answers with a redirection ({reply.status}), which a token must not follow.",
            cure="give the URL that it leads to",
        )
    return EnrollmentRefused(f"the enrollment service refused the request ({reply.status}){because}")
