"""The one reader of what the state folder keeps: certificate, candidate and configuration; and the checks of them.

``read_…`` raises when there is nothing that can be used, ``find_…`` returns None. The key is opened by
``keys.open_key``. Both raise StorageError when the folder itself cannot be read.
"""

import datetime
from pathlib import Path

from .candidate import Turn
from .certificate import DeviceCertificate, now
from .configuration import Configuration
from .cures import BOOTSTRAP, SET_CLOCK
from .errors import CertificateUnusable
from .keys import DeviceKey
from .store import StateFolder

THIS_CLOCK = "this clock, which may be wrong"


def read_certificate(state: StateFolder) -> DeviceCertificate:
    """The certificate in use.

    Raises:
        CertificateUnusable: there is none, or the file does not hold one.
    """
    pem = state.certificate()
    if pem is None:
        raise CertificateUnusable(f"this device has no certificate in {state.path}.", cure=BOOTSTRAP)
    return DeviceCertificate.from_pem(pem, source=str(state.certificate_path))


def read_configuration(state: StateFolder) -> Configuration:
    """The configuration as the cloud sent it, without what the settings override.

    Raises:
        CertificateUnusable: there is none, or the file does not hold one.
    """
    document = state.configuration()
    if document is None:
        raise CertificateUnusable(f"there is no {state.configuration_path}.", cure=BOOTSTRAP)
    try:
        return Configuration.from_json(document)
    except ValueError:
        raise CertificateUnusable(
            f"{state.configuration_path} does not hold a configuration.",
            cure=f"remove the file (rm {state.configuration_path}); then {BOOTSTRAP} fetches it again",
        ) from None


def find_certificate(state: StateFolder) -> DeviceCertificate | None:
    """The certificate in use; None when there is none, or the file does not hold one."""
    return _find(state.certificate(), state.certificate_path)


def find_candidate(state: StateFolder) -> DeviceCertificate | None:
    """The certificate that was issued and not yet tried; None when there is none, or the file does not hold one."""
    candidate = state.candidate()
    return None if candidate is None else _find(candidate.certificate, state.candidate_path)


def find_configuration(state: StateFolder) -> Configuration | None:
    """As ``read_configuration``; None instead of CertificateUnusable."""
    try:
        return read_configuration(state)
    except CertificateUnusable:
        return None


def find_turn(state: StateFolder) -> Turn | None:
    """This device's turn in the fleet's queue, if it waits for one that is not long past."""
    candidate = state.candidate()
    turn = None if candidate is None else candidate.turn
    return None if turn is None or turn.is_past else turn


def check_usable(certificate: DeviceCertificate, key: DeviceKey) -> None:
    """Check that the certificate is for ``key``, and valid now by this machine's clock.

    Raises:
        CertificateUnusable: it is not.
    """
    check_is_for(certificate, key)
    check_is_valid(certificate, now())


def check_is_for(certificate: DeviceCertificate, key: DeviceKey) -> None:
    """Check that the certificate is for ``key``.

    Raises:
        CertificateUnusable: it is for another key.
    """
    if not certificate.is_for(key.public_key()):
        raise belongs_to_another_key(key)


def belongs_to_another_key(key: DeviceKey) -> CertificateUnusable:
    """The error of a certificate, or of a whole state folder, that is not ``key``'s."""
    return CertificateUnusable(
        f"the certificate is not for this device's key ({key.title()}): the HSM was swapped, this card is a copy of"
        " another device's, or --key names another slot.",
        cure="use the old HSM or slot (--key); if this HSM is to take the old one's place: zymkey-fleet replace NAME,"
        f" which prints the bootstrap to run here; or, if this is a new device: {BOOTSTRAP} --name ANOTHER",
    )


def check_is_valid(certificate: DeviceCertificate, time: datetime.datetime, *, clock: str = THIS_CLOCK) -> None:
    """Check that the certificate is valid at ``time``, an aware datetime. ``clock`` says whose time that is.

    Raises:
        CertificateUnusable: it has expired, or is not valid yet.
    """
    if time > certificate.not_after:
        raise CertificateUnusable(
            f"the certificate expired on {certificate.not_after:%Y-%m-%d}, by {clock}.",
            cure=("check the clock first (timedatectl); then " if clock == THIS_CLOCK else "")
            + f"{BOOTSTRAP}, which gets a new certificate for the same key",
        )
    if time < certificate.not_before:
        raise CertificateUnusable(
            f"the certificate is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC, and the time is"
            f" {time:%Y-%m-%d %H:%M} by {clock}.",
            cure=SET_CLOCK,
        )


def _find(pem: bytes | None, path: Path) -> DeviceCertificate | None:
    try:
        return None if pem is None else DeviceCertificate.from_pem(pem, source=str(path))
    except CertificateUnusable:
        return None
