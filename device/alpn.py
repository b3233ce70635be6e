"""AWS IoT's port 443, where several protocols share one port: the TLS client says by ALPN (RFC 7301) which it speaks.

https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
"""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

SHARED_PORT = 443
HTTPS = "x-amzn-http-ca"
MQTT = "x-amzn-mqtt-ca"
HTTP_1_1 = "http/1.1"


class ClientContext(ssl.SSLContext):
    """A context whose ALPN a library does not change: urllib3 sets ``http/1.1`` before each of its handshakes."""

    _kept = False

    @contextmanager
    def offering(self, protocol: str) -> Iterator[None]:
        """Offer ``protocol`` alone in handshakes that begin inside of this."""
        super().set_alpn_protocols([protocol])
        self._kept = True
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
        trusted = b"".join(self.get_ca_certs(binary_form=True))
        if trusted:
            context.load_verify_locations(cadata=trusted)
        return context

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        if not self._kept:
            super().set_alpn_protocols(alpn_protocols)


def protocol_for(port: int, protocol: str) -> str | None:
    """``protocol``, if ``port`` of a data endpoint asks for it; None where the port alone says what is spoken."""
    return protocol if port == SHARED_PORT else None
