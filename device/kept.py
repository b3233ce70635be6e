"""A device that has been bootstrapped: its key, certificate and configuration, read and checked."""

import datetime

from .certificate import DeviceCertificate, now
from .configuration import Configuration
from .device import Device
from .errors import CertificateUnusable
from .keys import DeviceKey, open_key
from .settings import Settings
from .store import StateFolder
from .tls import client_context

BOOTSTRAP = "sudo zymkey-iot bootstrap"
THIS_CLOCK = "this clock, which may be wrong"


def open_device(settings: Settings) -> Device:
    """Read the state folder and open the key.

    Raises CertificateUnusable when there is no certificate, when it is over, or when it is not the key's.
    """
    state = StateFolder(settings.state)
    certificate = kept_certificate(state)
    document = state.configuration()
    if document is None:
        raise CertificateUnusable(f"there is no {state.configuration_path}.", cure=BOOTSTRAP)
    try:
        configuration = Configuration.from_json(document)
    except ValueError:
        raise CertificateUnusable(
            f"{state.configuration_path} cannot be used.",
            cure=f"rm {state.configuration_path}, then {BOOTSTRAP} has it sent again",
        ) from None
    key = open_key(settings.key, state=settings.state)
    check_usable(certificate, key)
    return Device(settings, configuration.as_set(settings), certificate, key, client_context(settings.ca_file))


def kept_certificate(state: StateFolder) -> DeviceCertificate:
    """The certificate in use. Raises CertificateUnusable when there is none."""
    pem = state.certificate()
    if pem is None:
        raise CertificateUnusable(f"this device has no certificate in {state.path}.", cure=BOOTSTRAP)
    return DeviceCertificate.from_pem(pem, source=str(state.certificate_path))


def check_usable(certificate: DeviceCertificate, key: DeviceKey) -> None:
    """Raises CertificateUnusable when the certificate is not for `key`, or this is not its time."""
    check_is_for(certificate, key)
    check_is_valid(certificate, now())


def check_is_for(certificate: DeviceCertificate, key: DeviceKey) -> None:
    """Raises CertificateUnusable when the certificate is for another key."""
    if not certificate.is_for(key.public_key()):
        raise CertificateUnusable(
            f"the certificate is for another key than the {key.title()}'s: the HSM was swapped, or the slot is"
            " another.",
            cure=f"the old HSM or slot (--key); or, for a new device: {BOOTSTRAP} --name ANOTHER",
        )


def check_is_valid(certificate: DeviceCertificate, time: datetime.datetime, *, clock: str = THIS_CLOCK) -> None:
    """Raises CertificateUnusable when `time` is before or after the certificate's life. `clock` is whose time it is."""
    if time > certificate.not_after:
        raise CertificateUnusable(
            f"the certificate expired on {certificate.not_after:%Y-%m-%d}, by {clock}.",
            cure=f"{BOOTSTRAP} gets a new one for the same key"
            + ("; check the clock first: timedatectl" if clock == THIS_CLOCK else ""),
        )
    if time < certificate.not_before:
        raise CertificateUnusable(
            f"the certificate is valid from {certificate.not_before:%Y-%m-%d %H:%M} UTC, and it is"
            f" {time:%Y-%m-%d %H:%M} by {clock}.",
            cure="set the clock: timedatectl set-ntp true",
        )
