"""The factory certificate: the fleet's own CA has signed it for the key in the HSM, before the device was delivered."""

import datetime
from dataclasses import replace
from pathlib import Path

from .certificate import DeviceCertificate, now
from .cures import SET_CLOCK
from .errors import CertificateUnusable, UsageError
from .kept import THIS_CLOCK
from .keys import DeviceKey
from .keys.device_key import fingerprint
from .pem import read_certificates
from .report import Report
from .setting_values import NAME, NAME_RULE
from .settings import HOST_NAME, Settings


def factory_certificate(
    settings: Settings, key: DeviceKey, report: Report
) -> tuple[DeviceCertificate | None, Settings]:
    """The certificate in the file that ``settings.certificate`` names, after a check that it is this device's.

    Returns None when no file is named, or when its certificate has expired: the fleet then issues another. The
    settings are returned with the certificate's name, if the device had no name but its host's.

    Raises:
        UsageError: the file cannot be read.
        CertificateUnusable: the certificate is for another key or another name, or is not valid yet.
    """
    path = settings.certificate
    if path is None:
        return None, settings
    with report.step("given") as step:
        certificate = _of_this_key(_read(path, settings.sources["certificate"]), path, key)
        settings = _named(settings, certificate, path)
        _check_has_begun(certificate, path, now())
        until = f"{certificate.not_after:%Y-%m-%d}"
        step.done = f"certificate for this key and CN={settings.name}, until {until}, in {path}"
        step.facts = {"certificateId": certificate.certificate_id}
    if certificate.not_after < now():
        report.warn(f"the certificate in {path} has expired, so the fleet is asked for a new one.")
        return None, settings
    return certificate, settings


def _read(path: Path, source: str) -> list[DeviceCertificate]:
    """The certificates in the file: the device's alone, or with its chain."""
    try:
        return [DeviceCertificate(each) for each in read_certificates(path)]
    except OSError as error:
        raise UsageError(
            f"the certificate file {path} ({source}) cannot be read: {error.strerror}.",
            cure=f"check the file: ls -l {path}",
        ) from None
    except ValueError as error:
        raise CertificateUnusable(
            f"the certificate file {path} ({source}) {error}.",
            cure="copy the certificate's file again, in PEM or DER; see what it is: openssl x509 -text -noout -in FILE",
        ) from None


def _of_this_key(certificates: list[DeviceCertificate], path: Path, key: DeviceKey) -> DeviceCertificate:
    for certificate in certificates:
        if certificate.is_for(key.public_key()):
            return certificate
    raise CertificateUnusable(
        f"the certificate in {path} is for another key{_shown(certificates[0])}; the {key.title()} has"
        f" {key.fingerprint}.",
        cure="use the file that belongs to this HSM, or the slot that the certificate is for: --key zymkey:slot=N",
    )


def _shown(certificate: DeviceCertificate) -> str:
    return "" if certificate.public_key is None else f", {fingerprint(certificate.public_key)}"


def _named(settings: Settings, certificate: DeviceCertificate, path: Path) -> Settings:
    name = certificate.common_name
    if name is None or not NAME.fullmatch(name):
        raise CertificateUnusable(
            f"the common name in {path} is {name!r}, but it must be the device's name: {NAME_RULE}.",
            cure="have a new certificate signed, with the device's name as its common name",
        )
    if settings.sources["name"] == HOST_NAME:
        return replace(settings, name=name, sources={**settings.sources, "name": str(path)})
    if name != settings.name:
        raise CertificateUnusable(
            f"the certificate in {path} is for the name {name!r}, but this device's name is {settings.name!r}"
            f" ({settings.sources['name']}).",
            cure=f"--name {name}, or the certificate file of {settings.name}",
        )
    return settings


def _check_has_begun(certificate: DeviceCertificate, path: Path, time: datetime.datetime) -> None:
    if time < certificate.not_before:
        raise CertificateUnusable(
            f"the certificate in {path} is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC, and the time"
            f" is {time:%Y-%m-%d %H:%M} by {THIS_CLOCK}.",
            cure=SET_CLOCK,
        )
