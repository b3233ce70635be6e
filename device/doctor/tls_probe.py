"""What a server says of itself, unverified: the issuer of its certificate, and the time by its clock.

It serves to name a proxy that opens TLS, and to find a wrong clock, with which no certificate can be verified. Nothing
secret is sent, and nothing but doctor's sentences depends on the answer.
"""

import datetime
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from .. import https
from ..client_context import ClientContext
from ..errors import DeviceError
from ..network import Network
from ..settings import Settings
from .server import Server

if TYPE_CHECKING:
    from ..connection import Connection


@dataclass(frozen=True, kw_only=True)
class Probe:
    """``issuer`` is the name in a few words. ``ahead`` is the server's clock less this one; None without a Date."""

    issuer: str
    ahead: datetime.timedelta | None


def probe(server: Server, *, settings: Settings, timeout: float) -> Probe:
    """Connect, read the certificate's issuer, ask for the time. ``timeout`` is in seconds, for each single wait.

    Raises:
        NetworkError: the server was not reached.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    network = Network.from_settings(settings, context=context)
    with https.connection(
        server.host, server.port, network=network, timeout=timeout, protocol=server.protocol
    ) as connection:
        issuer = issuer_in_words(connection)
        try:
            ahead = _ahead(connection)
        except (DeviceError, OSError, ValueError, TypeError, OverflowError):
            # The data endpoint ends connections without a certificate here. The issuer serves without the time.
            ahead = None
    return Probe(issuer=issuer, ahead=ahead)


def _ahead(connection: "Connection") -> datetime.timedelta:
    """The Date of an answer (RFC 9110 section 6.6.1, whole seconds), less the middle of the time that it took."""
    sent = datetime.datetime.now(datetime.UTC)
    connection.request("HEAD", "/")
    date = parsedate_to_datetime(connection.getresponse().headers.get("Date"))
    came = datetime.datetime.now(datetime.UTC)
    return date - (sent + (came - sent) / 2)


def issuer_in_words(connection: "Connection") -> str:
    """The issuer of the server's certificate, with common name and organization: ``Amazon RSA 2048 M02 (Amazon)``."""
    try:
        name = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True) or b"").issuer
    except Exception:  # noqa: BLE001 - it is a stranger's, and reading it can raise anything
        return "an issuer whose name cannot be read"
    oids = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    parts = [str(found[0].value) for oid in oids if (found := name.get_attributes_for_oid(oid))]
    if not parts:
        return name.rfc4514_string() or "an issuer without a name"
    return " (".join(dict.fromkeys(parts)) + ")" * (len(set(parts)) - 1)
