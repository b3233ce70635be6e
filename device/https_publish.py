"""Publish over HTTPS with mutual TLS in this process: the key signs, and OpenSSL does everything else."""

from . import https
from .certificate import DeviceCertificate
from .errors import HungUp, NetworkError
from .iot_https import publish_url, read_reply, refused
from .keys import DeviceKey
from .network import Network
from .tls import present


class HttpsPublisher:
    """One device at one data endpoint. Each publish is one connection, so it costs one signature by the key."""

    def __init__(
        self,
        *,
        endpoint: str,
        port: int,
        certificate: DeviceCertificate,
        key: DeviceKey,
        network: Network,
    ) -> None:
        self._endpoint, self._port = endpoint, port
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
        url = publish_url(self._endpoint, self._port, topic)
        try:
            reply = https.request("POST", url, network=self._network, body=payload)
        except NetworkError as error:
            if self._signer.failure is not None:
                raise self._signer.failure from None
            if isinstance(error, HungUp):
                raise refused(error, self._endpoint, self._certificate) from None
            raise
        return read_reply(reply, topic)
