"""For programs on the device: its identity on AWS IoT, with the key that stays in the hardware.

    from zymkey_iot.identity import this_device

    device = this_device()
    client.tls_set_context(device.context)                  # paho-mqtt, or any library that takes an ssl.SSLContext
    client.connect(device.endpoint, device.mqtt_port)

A program that keeps running calls ``device.refresh()`` before each connection, or it goes on with a certificate that is
switched off some days after its renewal. Every handshake costs the key one signature. ``zymkey-iot config paho`` and
``zymkey-iot config requests`` print whole programs.
"""

import argparse
import ssl
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

from .device import Device, open_device
from .kept import check_usable, read_certificate
from .settings import load
from .shared_port import MQTT, protocol_on
from .store import StateFolder
from .tls import HandshakeSigner, present


@dataclass(kw_only=True)
class Identity:
    """A device after its bootstrap. ``context`` trusts AWS's servers and shows them the device's certificate.

    A key that was gone for a while, such as a Zymkey whose daemon was started again, is found again by itself.
    """

    name: str
    """The name of the thing, and the only client id that the policy allows."""

    endpoint: str
    https_port: int
    mqtt_port: int
    context: ssl.SSLContext

    renewal_topic: str | None
    """On which a program that is connected hears that the device shall renew; None where the fleet has none."""

    # OpenSSL calls it at each handshake; ``failure`` says why the key did not sign.
    signer: HandshakeSigner = field(repr=False)

    _device: Device = field(repr=False)

    def refresh(self) -> bool:
        """Have ``context`` show the certificate that a renewal has put into use since; return whether there was one.

        Costs one read of a small file. Connections that are open keep the certificate that they have shown.

        Raises:
            DeviceError: the certificate in use cannot be read, has expired, or is for another key. ``context`` stays.
        """
        state = StateFolder(self._device.settings.state)
        if state.certificate() == self._device.certificate.pem:
            return False
        certificate = read_certificate(state)
        if certificate.der == self._device.certificate.der:
            return False
        check_usable(certificate, self._device.key)
        self.signer = present(self.context, certificate, self._device.key)
        self._device = replace(self._device, certificate=certificate)
        return True


def this_device(
    *,
    state: str | Path | None = None,
    key: str | None = None,
    ca_file: str | Path | None = None,
    endpoint: str | None = None,
    https_port: int | None = None,
    mqtt_port: int | None = None,
) -> Identity:
    """Open the device that ``zymkey-iot bootstrap`` has made; without arguments, with the settings of that bootstrap.

    Certificate and endpoint are read once. After a renewal, a program that keeps running has to call ``refresh()``, or
    be restarted by a hook in /etc/zymkey-iot/on-renew.d; after a move to another fleet it has to be restarted.

    Raises:
        DeviceError: there is no certificate, it has expired, it is for another HSM, or the key cannot be used.
    """
    given = {
        "state": state,
        "key": key,
        "ca_file": ca_file,
        "endpoint": endpoint,
        "https_port": https_port,
        "mqtt_port": mqtt_port,
    }
    arguments = argparse.Namespace(**{name: str(value) for name, value in given.items() if value is not None})
    settings = load(arguments, warn=lambda text: warnings.warn(text, stacklevel=2))
    device = open_device(settings)
    signer = present(device.network.context, device.certificate, device.key)
    if protocol := protocol_on(device.configuration.mqtt_port, MQTT):
        device.network.context.set_alpn_protocols([protocol])
    configuration = device.configuration
    renewal_topic = configuration.renewal_topic
    return Identity(
        name=settings.name,
        endpoint=configuration.data_endpoint,
        https_port=configuration.https_port,
        mqtt_port=configuration.mqtt_port,
        context=device.network.context,
        renewal_topic=None if renewal_topic is None else renewal_topic.replace("{device}", settings.name),
        signer=signer,
        _device=device,
    )
