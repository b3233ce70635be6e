"""The device at its data endpoint: TLS in this process with the key as signer, or curl with an OpenSSL engine."""

from collections.abc import Sequence
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
from .store import StateFolder
from .tls import roots


class Publisher(Protocol):
    """Publishes over HTTPS; ``how`` says in a few words which way."""

    how: str

    def publish(self, topic: str, payload: bytes) -> str: ...


@dataclass(frozen=True)
class Device:
    """A device: key, certificate, configuration. ``network`` leads to the servers; it shows no certificate yet."""

    settings: Settings
    configuration: Configuration
    certificate: DeviceCertificate
    key: DeviceKey
    network: Network

    def https(self) -> Publisher:
        """The way that ``settings.tls`` names; ``auto`` is the signer, and curl for ``engine:`` keys."""
        way = self.settings.tls
        if way == "curl" or (way == "auto" and self.key.kind == "engine"):
            return self._by_curl()
        try:
            return HttpsPublisher(
                endpoint=self.configuration.data_endpoint,
                port=self.configuration.https_port,
                certificate=self.certificate,
                key=self.key,
                network=self.network,
            )
        except SignerUnsupported:
            if way == "signer":
                raise
            return self._by_curl()

    def mqtt(self, *, chain: Sequence[DeviceCertificate] = ()) -> MqttRoundTrip:
        """MQTT, which needs TLS in this process.

        Args:
            chain: shown with the certificate: the CA that signed it.

        Raises:
            UsageError: ``settings.tls`` is ``curl``.
        """
        if self.settings.tls == "curl":
            raise UsageError(
                "curl cannot publish over MQTT with a client certificate.", cure="--tls signer or --tls auto"
            )
        return MqttRoundTrip(
            endpoint=self.configuration.data_endpoint,
            port=self.configuration.mqtt_port,
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

    def _by_curl(self) -> Publisher:
        # Imported here: with subprocess it takes 0.4 MB of memory, which most devices never need.
        from .curl_publish import CurlPublisher

        return CurlPublisher(
            endpoint=self.configuration.data_endpoint,
            port=self.configuration.https_port,
            certificate=self.certificate,
            key=self.key,
            roots=roots(self.settings.ca_file),
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
