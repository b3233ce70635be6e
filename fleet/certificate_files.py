"""The certificates in a folder, and the device that each is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from fleet.deployment import Deployment
from fleet.errors import Refused
from fleet.files import read
from ledger import CertificateState, Device, Ledger, State
from pki.fingerprint import certificate_id
from pki.issued_certificate_checks import check_issued_certificate
from pki.names import is_device_name
from pki.received_certificate import CertificateError, ReceivedCertificate, read_leaf

_ENDINGS = {".pem", ".crt", ".cer"}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A certificate that may be registered for a device."""

    certificate: x509.Certificate
    device: str
    is_registered: bool = False  # already, as its device's own: an interrupted command had come so far


def certificate_files(folder: Path) -> list[Path]:
    """The files of a folder that could hold certificates, in the order of their names.

    Raises:
        Refused: the folder cannot be read, or has none.
    """
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in _ENDINGS and _is_read(each))
    except OSError as error:
        raise Refused(
            f"The folder {str(folder)!r} cannot be read: {error.strerror}.", cure="name a folder that you may read"
        ) from None
    if not files:
        raise Refused(
            f"The folder {str(folder)!r} has no certificates: no files that end in .pem, .crt or .cer.",
            cure="name the folder that your CA has written the certificates into",
        )
    return files


def _is_read(path: Path) -> bool:
    """A file, or a link to nothing, which is told; but no pipe, which would be waited for."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def check_file(path: Path, *, authorities: Sequence[x509.Certificate], ledger: Ledger) -> Checked:
    """Read one certificate and find its device.

    Raises:
        Refused: why it may not be registered.
    """
    try:
        leaf = read_leaf(read(path, "file"))
        return check(leaf, authorities=authorities, ledger=ledger)
    except CertificateError as error:
        raise Refused(str(error), cure=f"correct or remove {path.name}, and import the folder again") from None


def check(leaf: ReceivedCertificate, *, authorities: Sequence[x509.Certificate], ledger: Ledger) -> Checked:
    """Find a certificate's device, by its name or else by its key, and check it for that device.

    Raises:
        CertificateError, Refused: why it may not be registered.
    """
    device = _device(leaf, ledger)
    if device.fingerprint is None:
        raise Refused(
            f"Device {device.name!r} is invited and has not shown its key yet.",
            cure=f"wait until `zymkey-fleet pending` lists {device.name}",
        )
    if device.state is State.BLOCKED:
        raise Refused(f"Device {device.name!r} is blocked.", cure=f"zymkey-fleet unblock {device.name}")
    check_issued_certificate(
        leaf,
        authorities=authorities,
        public_key_fingerprint=device.fingerprint,
        device=device.name,
        now=datetime.now(UTC),
    )
    known = ledger.certificate(device.name, leaf.certificate_id)
    if known is not None and known.state is CertificateState.ACTIVE:
        return Checked(certificate=leaf.certificate, device=device.name, is_registered=True)
    if known is not None and known.state is not CertificateState.RECORDED:
        raise Refused(
            f"This certificate is already registered for device {device.name!r}, and is {known.state}.",
            cure=f"zymkey-fleet show {device.name}",
        )
    return Checked(certificate=leaf.certificate, device=device.name)


def register(checked: Checked, deployment: Deployment) -> None:
    """Have the deployment register a certificate, unless it is registered already.

    Raises:
        FleetError: why it is not.
    """
    if checked.is_registered:
        return
    try:
        deployment.api.upload(checked.certificate)
    except Refused:
        # The reply to the first attempt was lost, and the second is refused because of the first.
        known = deployment.ledger.certificate(checked.device, certificate_id(checked.certificate))
        if known is None or known.state is not CertificateState.ACTIVE:
            raise


def _device(leaf: ReceivedCertificate, ledger: Ledger) -> Device:
    names = [each.text for each in leaf.common_names]
    fingerprint = leaf.fingerprint
    device = ledger.device(names[0]) if names and is_device_name(names[0]) else None
    device = device or ledger.device_of_key(fingerprint)
    if device is None:
        name = names[0] if names else None
        raise Refused(
            f"No device of this fleet has this certificate's name ({name!r}) or its key ({fingerprint}).",
            # The name is a stranger's, and this is a command to copy into a shell.
            cure=f"zymkey-fleet allow {name if name and is_device_name(name) else 'NAME'} --key {fingerprint}",
        )
    return device
