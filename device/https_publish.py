"""Publish over HTTPS with mutual TLS in this process: the key signs, and OpenSSL does everything else."""

from . import https
from .certificate import DeviceCertificate
from .errors import HungUp, NetworkError
from .iot_https import publish_url, read_reply, refused
from .keys import DeviceKey
from .network import Network
from .shared_port import DataPort
from .tls import present


class HttpsPublisher:
    """One device at one data endpoint. Each publish is one connection, so it costs one signature by the key."""

    def __init__(
        self,
        *,
        endpoint: str,
        port: DataPort,
        certificate: DeviceCertificate,
        key: DeviceKey,
        network: Network,
    ) -> None:
        self._endpoint, self.port = endpoint, port
        self._network = network
        self._certificate = certificate
        self._signer = present(network.context, certificate, key)
        self.how = f"TLS in this process, {key.title()}"

    def publish(self, topic: str, payload: bytes) -> str:
        """Publish with quality of service 1 and return AWS IoT's trace id.

        Raises:
            KeyUnavailable: the key did not sign.
            CertificateRefused: AWS IoT closed the connection.
            TopicDenied: the policy does not allow ``topic``.
            Busy, UnexpectedReply: AWS IoT did not accept the message.
            NetworkError, ServerNotTrusted: as ``https.request`` raises them.
        """
        self._signer.failure = None
        try:
            reply = self.port.reach(lambda port, protocol: self._post(port, protocol, topic, payload))
        except NetworkError as error:
            if self._signer.failure is not None:
                raise self._signer.failure from None
            if isinstance(error, HungUp):
                raise refused(error, self._endpoint, self._certificate) from None
            raise
        return read_reply(reply, topic)

    def _post(self, port: int, protocol: str | None, topic: str, payload: bytes) -> https.Reply:
        url = publish_url(self._endpoint, port, topic)
        return https.request("POST", url, network=self._network, body=payload, protocol=protocol, mutual=True)
