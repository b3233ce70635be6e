"""TLS: which device connects? A certificate of any issuer passes the handshake and is then looked up.

pyOpenSSL, because ``ssl`` in the standard library can only ask for certificates whose issuers it was given. What
the handshake does prove, in either version of TLS, is that the client holds the certificate's key: OpenSSL
verifies the client's signature (CertificateVerify) whatever the verify callback says.
"""

import datetime
import logging
import socket
import struct
import threading
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

from .conversation import converse
from .credentials import CredentialProvider
from .publishing import Publisher, Reply, Session
from .registration import JustInTimeRegistration
from .registry import Registry

log = logging.getLogger(__name__)

# A client that says nothing for this long is disconnected.
SILENCE_SECONDS = 30
READ_SIZE = 16 * 1024


def tls_context(chain_file: str, key_file: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate_chain_file(chain_file)
    context.use_privatekey_file(key_file)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    # Without resumption each connection costs its client one signature, and each is judged by itself.
    context.set_session_id(b"zymkey-fleet")
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    return context


class DataEndpoint:
    """Serves HTTPS on 127.0.0.1, one thread a connection."""

    def __init__(
        self,
        *,
        port: int,
        context: SSL.Context,
        registry: Registry,
        publisher: Publisher,
        registration: JustInTimeRegistration | None = None,
        credentials: CredentialProvider | None = None,
    ) -> None:
        """Without ``registration`` a certificate that is not registered stays so."""
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._context = context
        self._registry = registry
        self._publisher = publisher
        self._registration = registration
        self._credentials = credentials

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def serve_forever(self) -> None:
        """Serve until the listening socket is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with client:
            # A timeout that OpenSSL's own reads obey; Python's would make the socket non-blocking.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_SECONDS, 0))
            connection = SSL.Connection(self._context, client)
            connection.set_accept_state()
            try:
                connection.do_handshake()
                session = self._authenticate(connection)
                if session is not None:
                    converse(_TlsStream(connection), lambda *request: self._answer(session, *request))
                connection.shutdown()
            except (SSL.Error, OSError) as interruption:
                log.info("connection ended: %r", interruption)
            except Exception:
                log.exception("a request failed")

    def _answer(self, session: Session, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if self._credentials is not None and self._credentials.is_asked(target):
            return self._credentials.answer(session, method, target, headers)
        return self._publisher.answer(session, method, target, body)

    def _authenticate(self, connection: SSL.Connection) -> Session | None:
        """The session of an acceptable client, or None: as with AWS IoT the connection is then just closed.

        Under TLS 1.3 the client's handshake is finished by now; the client learns of the refusal when it reads. A
        client whose certificate has just been registered gets no reply either, and while it is PENDING_ACTIVATION, 403.
        """
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return None
        certificate_id = certificate.fingerprint(hashes.SHA256()).hex()
        if not _is_valid_now(certificate):
            log.info("disconnected %s: not valid at this time", certificate_id)
            return None
        if connection.get_servername() is None:
            log.info("disconnected %s: no server name (SNI) was sent", certificate_id)
            return None
        source = connection.getpeername()[0]
        registered = self._registry.find(certificate_id)
        if registered is None:
            # A handshake alone registers nothing; the first bytes of a request do.
            asks = bool(_TlsStream(connection).receive())
            just_in_time = self._registration if asks else None
            made = just_in_time is not None and just_in_time.register(
                certificate, certificate_id=certificate_id, source=source
            )
            log.info("disconnected %s: %s", certificate_id, "registered just now" if made else "not registered")
        elif registered.is_active or (
            self._registration is not None and self._registration.repeat(registered, source=source)
        ):
            return Session(certificate=certificate, registered=registered)
        else:
            log.info("disconnected %s: not ACTIVE", certificate_id)
        return None


class _TlsStream:
    """A TLS connection as the byte stream that a conversation wants."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection

    def receive(self) -> bytes:
        try:
            return self._connection.recv(READ_SIZE)
        except (SSL.ZeroReturnError, SSL.SysCallError, SSL.WantReadError):
            return b""

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)


def _is_valid_now(certificate: x509.Certificate) -> bool:
    now = datetime.datetime.now(datetime.UTC)
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
