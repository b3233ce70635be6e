"""The TLS context of this device, with an ALPN that stays what it was set to."""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class ClientContext(ssl.SSLContext):
    """A context whose ALPN a library does not change: urllib3 sets ``http/1.1`` before each of its handshakes."""

    given_roots: Path | None = None
    """The file of roots that somebody has chosen in place of certifi's."""

    shows_certificate = False
    """Set by ``tls.present``: whoever asks in a handshake gets this device's certificate, and a signature."""

    _kept = False

    def keep_offering(self, protocol: str | None) -> None:
        """Offer ``protocol`` alone, or nothing by ALPN, whatever a library says after this."""
        super().set_alpn_protocols([] if protocol is None else [protocol])
        self._kept = True

    @contextmanager
    def offering(self, protocol: str | None) -> Iterator[None]:
        """``keep_offering`` for handshakes that begin inside of this."""
        self.keep_offering(protocol)
        try:
            yield
        finally:
            self._kept = False

    def without_identity(self) -> "ClientContext":
        """Another context that trusts the same roots and shows no certificate."""
        context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = self.check_hostname, self.verify_mode
        context.verify_flags = self.verify_flags
        context.minimum_version = self.minimum_version
        context.given_roots = self.given_roots
        trusted = b"".join(self.get_ca_certs(binary_form=True))
        if trusted:
            context.load_verify_locations(cadata=trusted)
        return context

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        if not self._kept:
            super().set_alpn_protocols(alpn_protocols)
