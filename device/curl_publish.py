"""Publish over HTTPS with the ``curl`` command: for ``engine:`` keys, and where this Python's OpenSSL cannot."""

from pathlib import Path

from .certificate import DeviceCertificate
from .curl_exchange import CurlExchange
from .errors import UsageError
from .iot_https import publish_url, read_reply
from .keys import DeviceKey
from .network import Network
from .shared_port import HTTPS, SHARED_PORT, DataPort


class CurlPublisher:
    """One device at one data endpoint. Each publish is a process, and one signature by the key."""

    def __init__(
        self,
        *,
        endpoint: str,
        port: DataPort,
        certificate: DeviceCertificate,
        key: DeviceKey,
        roots: Path,
        network: Network,
    ) -> None:
        if port.number == SHARED_PORT:
            raise UsageError(
                f"curl cannot offer the ALPN protocol {HTTPS}, which AWS IoT asks for on port {SHARED_PORT}.",
                cure="let this process do TLS: --tls signer; or open port 8443, and use it: --https-port 8443",
            )
        self._endpoint, self.port = endpoint, port
        self._curl = CurlExchange(
            endpoint=endpoint, port=port.number, certificate=certificate, key=key, roots=roots, network=network
        )
        self.how = f"curl, {key.title()}"

    def publish(self, topic: str, payload: bytes) -> str:
        """As ``HttpsPublisher.publish``: returns the trace id, raises the same errors."""
        url = publish_url(self._endpoint, self.port.number, topic)
        return read_reply(self._curl.exchange(url, message=payload), topic)
