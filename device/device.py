"""The device at its data endpoint: TLS in this process with the key as signer, or curl with an OpenSSL engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .certificate import DeviceCertificate
from .configuration import Configuration
from .errors import SignerUnsupported, UsageError
from .https_publish import HttpsPublisher
from .kept import check_usable, read_certificate, read_configuration
from .keys import DeviceKey, open_key
from .mqtt_publish import MqttRoundTrip
from .network import Network
from .settings import Settings
from .shared_port import HTTPS, MQTT, DataPort
from .store import StateFolder
from .tls import roots


class Publisher(Protocol):
    """Publishes over HTTPS; ``how`` says in a few words which way, and ``port`` to which port."""

    how: str
    port: DataPort

    def publish(self, topic: str, payload: bytes) -> str: ...


@dataclass(frozen=True)
class Device:
    """A device: key, certificate, configuration. ``network`` leads to the servers; it shows no certificate yet."""

    settings: Settings
    configuration: Configuration
    certificate: DeviceCertificate
    key: DeviceKey
    network: Network

    def https(self, *, tell: Callable[[str], None] | None = None) -> Publisher:
        """The way that ``settings.tls`` names; ``auto`` is the signer, and curl for ``engine:`` keys.

        Args:
            tell: is called with a sentence when the port is closed, and 443 is used in its place.
        """
        way = self.settings.tls
        fixed = self.settings.https_port is not None
        port = DataPort(self.configuration.https_port, HTTPS, fixed=fixed, tell=tell)
        if way == "curl" or (way == "auto" and self.key.kind == "engine"):
            return self._by_curl(port)
        try:
            return HttpsPublisher(
                endpoint=self.configuration.data_endpoint,
                port=port,
                certificate=self.certificate,
                key=self.key,
                network=self.network,
            )
        except SignerUnsupported:
            if way == "signer":
                raise
            return self._by_curl(port)

    def mqtt(
        self, *, chain: Sequence[DeviceCertificate] = (), tell: Callable[[str], None] | None = None
    ) -> MqttRoundTrip:
        """MQTT, which needs TLS in this process.

        Args:
            chain: shown with the certificate: the CA that signed it.
            tell: as for ``https``.

        Raises:
            UsageError: ``settings.tls`` is ``curl``.
        """
        if self.settings.tls == "curl":
            raise UsageError(
                "curl cannot publish over MQTT with a client certificate.", cure="--tls signer or --tls auto"
            )
        return MqttRoundTrip(
            endpoint=self.configuration.data_endpoint,
            port=DataPort(self.configuration.mqtt_port, MQTT, fixed=self.settings.mqtt_port is not None, tell=tell),
            name=self.settings.name,
            certificate=self.certificate,
            chain=chain,
            key=self.key,
            context=self.network.context,
        )

    def topic(self, template: str, *, mqtt: bool = False) -> str:
        """``template`` with ``{device}`` filled in: the device's name, or over HTTPS perhaps the certificate's id."""
        name = self.settings.name
        return template.replace("{device}", name if mqtt else self.certificate.topic_name(name))

    def _by_curl(self, port: DataPort) -> Publisher:
        # Imported here: with subprocess it takes 0.4 MB of memory, which most devices never need.
        from .curl_publish import CurlPublisher

        return CurlPublisher(
            endpoint=self.configuration.data_endpoint,
            port=port,
            certificate=self.certificate,
            key=self.key,
            roots=roots(self.settings.ca_file),
            network=self.network,
        )


def open_device(settings: Settings) -> Device:
    """The device that bootstrap has made: read its state folder, open its key, and check that they fit.

    Raises:
        CertificateUnusable: there is no certificate or no configuration, or the certificate has expired or is not the
            key's.
        KeyUnavailable: the key cannot be used.
    """
    state = StateFolder(settings.state)
    certificate = read_certificate(state)
    configuration = read_configuration(state).as_set(settings)
    key = open_key(settings)
    check_usable(certificate, key)
    return Device(settings, configuration, certificate, key, Network.from_settings(settings))
