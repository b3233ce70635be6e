"""Ways to the data endpoint: TLS in this process with the key as signer, or curl with an OpenSSL engine."""

import ssl
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
from .settings import Settings
from .store import StateFolder
from .tls import client_context, roots


class Publisher(Protocol):
    """Publishes over HTTPS; `how` says in a few words by what means."""

    how: str

    def publish(self, topic: str, payload: bytes) -> str: ...


@dataclass(frozen=True)
class Device:
    """One device's data endpoint. `context` trusts the right roots and shows no certificate yet."""

    settings: Settings
    configuration: Configuration
    certificate: DeviceCertificate
    key: DeviceKey
    context: ssl.SSLContext

    def https(self) -> Publisher:
        """By `settings.tls`; `auto` takes the signer, and curl for keys that are the engine's anyway."""
        way = self.settings.tls
        if way == "curl" or (way == "auto" and self.key.kind == "engine"):
            return self._by_curl()
        try:
            return HttpsPublisher(
                endpoint=self.configuration.data_endpoint,
                port=self.configuration.https_port,
                certificate=self.certificate,
                key=self.key,
                context=self.context,
            )
        except SignerUnsupported:
            if way == "signer":
                raise
            return self._by_curl()

    def mqtt(self, *, chain: Sequence[DeviceCertificate] = ()) -> MqttRoundTrip:
        """MQTT needs TLS in this process. Raises UsageError when the user rules that out.

        `chain` is shown with the certificate: the CA that signed it.
        """
        if self.settings.tls == "curl":
            raise UsageError("curl does not speak MQTT with a client certificate.", cure="--tls signer or auto")
        return MqttRoundTrip(
            endpoint=self.configuration.data_endpoint,
            port=self.configuration.mqtt_port,
            name=self.settings.name,
            certificate=self.certificate,
            chain=chain,
            key=self.key,
            context=self.context,
        )

    def topic(self, template: str, *, mqtt: bool = False) -> str:
        """`template` with `{device}` as the policy knows this device: by name, over HTTPS perhaps by id."""
        name = self.settings.name
        return template.replace("{device}", name if mqtt else self.certificate.topic_name(name))

    def _by_curl(self) -> Publisher:
        # Imported here: with subprocess it is 0.4 MB that most devices never need.
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
    return Device(settings, configuration, certificate, key, client_context(settings.ca_file))
