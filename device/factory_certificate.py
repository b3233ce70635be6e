"""A certificate that came with the device: the fleet's own CA signed it in the factory, for the HSM's key."""

import datetime
from dataclasses import replace
from pathlib import Path

from cryptography import x509

from .certificate import DeviceCertificate, now
from .errors import CertificateUnusable, UsageError
from .keys import DeviceKey
from .keys.device_key import fingerprint
from .report import Report
from .settings import HOST_NAME, NAME, NAME_RULE, Settings


def factory_certificate(
    settings: Settings, key: DeviceKey, report: Report
) -> tuple[DeviceCertificate | None, Settings]:
    """The certificate that `settings.certificate` names, once it is known to be this device's.

    None when no file is named, or when its certificate has expired: then the fleet is asked for another. The
    settings come back with the certificate's name, where nobody had given the device one.

    Raises UsageError when the file cannot be read, CertificateUnusable when the certificate is for another key or
    another name, or is not valid yet.
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
        report.warn(f"the certificate in {path} has expired, so the fleet is asked for another.")
        return None, settings
    return certificate, settings


def _read(path: Path, source: str) -> list[DeviceCertificate]:
    """What is in the file: a certificate alone, or with its chain."""
    try:
        return [DeviceCertificate(each) for each in x509.load_pem_x509_certificates(path.read_bytes())]
    except OSError as error:
        raise UsageError(f"the certificate file {path} ({source}) cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CertificateUnusable(
            f"{path} ({source}) does not hold a certificate in PEM.",
            cure=f"openssl x509 -in {path} -inform DER -out {path}.pem makes PEM of DER",
        ) from None


def _of_this_key(certificates: list[DeviceCertificate], path: Path, key: DeviceKey) -> DeviceCertificate:
    for certificate in certificates:
        if certificate.is_for(key.public_key()):
            return certificate
    raise CertificateUnusable(
        f"the certificate in {path} is for another key{_shown(certificates[0])}; the {key.title()} has"
        f" {key.fingerprint}.",
        cure="the file that belongs to this HSM, or the slot that the certificate is for: --key zymkey:slot=N",
    )


def _shown(certificate: DeviceCertificate) -> str:
    try:
        return f", {fingerprint(certificate.x509.public_key())}"  # type: ignore[arg-type]
    except ValueError:
        return ""  # of a kind that nobody knows here


def _named(settings: Settings, certificate: DeviceCertificate, path: Path) -> Settings:
    name = certificate.common_name
    if name is None or not NAME.fullmatch(name):
        raise CertificateUnusable(
            f"the common name in {path} is {name!r}, and must be the device's name: {NAME_RULE}.",
            cure="have it signed anew for that name",
        )
    if settings.sources["name"] == HOST_NAME:
        return replace(settings, name=name, sources={**settings.sources, "name": str(path)})
    if name != settings.name:
        raise CertificateUnusable(
            f"the certificate in {path} is for the name {name!r}, and this device is {settings.name!r}"
            f" ({settings.sources['name']}).",
            cure=f"--name {name}, or the file that belongs to {settings.name}",
        )
    return settings


def _check_has_begun(certificate: DeviceCertificate, path: Path, time: datetime.datetime) -> None:
    if time < certificate.not_before:
        raise CertificateUnusable(
            f"the certificate in {path} is valid from {certificate.not_before:%Y-%m-%d %H:%M} UTC, and by this clock"
            f" it is {time:%Y-%m-%d %H:%M}.",
            cure="set the clock: timedatectl set-ntp true",
        )
