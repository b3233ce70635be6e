"""What a server says of itself before anyone has verified it: who issued its certificate, and what time it is.

Only to name who breaks TLS, and to tell a wrong clock, with which nothing can be verified. Nothing secret is sent,
and nothing that comes back is acted upon.
"""

import datetime
import http.client
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from .. import https
from .examination import Server


@dataclass(frozen=True, kw_only=True)
class SelfPortrait:
    """`issuer` in a few words. `ahead` is the server's clock less this one; None when it sent no Date."""

    issuer: str
    ahead: datetime.timedelta | None


def look(server: Server, *, timeout: float) -> SelfPortrait:
    """Connect, look, ask for the time. Raises NetworkError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection, peer = https.open_connection(server.host, server.port, context=context, timeout=timeout)
    try:
        connection.connect()
        der = connection.sock.getpeercert(binary_form=True)
        certificate = x509.load_der_x509_certificate(der or b"")
        issuer = name_in_words(certificate.issuer)
        try:
            ahead = _ahead(connection)
        except (OSError, http.client.HTTPException, ValueError, TypeError):
            # The data endpoint ends connections without a certificate here; the portrait is good without the time.
            ahead = None
    except (OSError, http.client.HTTPException) as error:
        raise https.explain(error, peer=peer, host=server.host, timeout=timeout) from None
    finally:
        connection.close()
    return SelfPortrait(issuer=issuer, ahead=ahead)


def _ahead(connection: http.client.HTTPSConnection) -> datetime.timedelta:
    """The Date of an answer (RFC 9110 section 6.6.1, whole seconds) less the middle of the time that it took."""
    sent = datetime.datetime.now(datetime.UTC)
    connection.request("HEAD", "/")
    date = parsedate_to_datetime(connection.getresponse().headers["Date"])
    came = datetime.datetime.now(datetime.UTC)
    return date - (sent + (came - sent) / 2)


def name_in_words(name: x509.Name) -> str:
    """`Amazon RSA 2048 M02 (Amazon)`: the common name, and the organization if there is one."""
    parts = [
        str(attributes[0].value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        if (attributes := name.get_attributes_for_oid(oid))
    ]
    words = "".join(c for c in parts[0] if c.isprintable()) if parts else name.rfc4514_string() or "nobody"
    return f"{words} ({parts[1]})" if len(parts) == 2 and parts[1] != parts[0] else words
