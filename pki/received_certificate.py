"""A certificate that came from somewhere else, read into plain values once. After that, nothing about it can raise.

The package ``cryptography`` parses most of a certificate when it is asked for, and raises many things then:
``UnsupportedAlgorithm``, ``UnsupportedGeneralNameType``, ``DuplicateExtension``, ``ValueError``. What it only warns
about will be an exception of a later release, and is refused now, so that an update refuses nothing that was accepted.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from pki import der
from pki.armour import ArmourError, Block, unwrap
from pki.fingerprint import certificate_id, key_fingerprint
from pki.key_rules import KEY_RULE, read_public_key
from pki.kinds import CERTIFICATE, PRIVATE_KEY, kind_of
from pki.names import CommonName, read_common_names

# RegisterCertificate takes 65,536 characters of certificatePem (AWS IoT API reference). A leaf with its chain is
# far below; the limit is for what is no certificate at all.
MAX_CHARACTERS = 65_536

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class CertificateError(ValueError):
    """A certificate that must not be registered. The message is one sentence for the person who sent it."""


@dataclass(frozen=True, kw_only=True)
class ReceivedCertificate:
    """What this project asks of a certificate. ``certificate`` itself is for its signature and its bytes alone."""

    certificate: x509.Certificate
    certificate_id: str
    public_key: CertificatePublicKeyTypes
    fingerprint: str  # of the key
    common_names: tuple[CommonName, ...]
    subject: str  # RFC 4514, for people to read
    issuer: str
    issuer_der: bytes
    serial: int
    not_before: datetime
    not_after: datetime
    signature_hash: str | None  # such as ``sha256``; ``None`` where the algorithm has it inside
    is_ca: bool  # basicConstraints CA:TRUE
    may_sign_data: bool | None  # keyUsage digitalSignature; ``None`` without the extension
    purposes: frozenset[x509.ObjectIdentifier] | None  # extendedKeyUsage; ``None`` without the extension

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")


def read_leaf(data: bytes, *, may_hold_key: bool = True) -> ReceivedCertificate:
    """The device's certificate out of a file that holds it alone or with its chain, in any order.

    PEM in every wrapping that ``pki.armour`` knows, or DER. A certificate of the chain may be one that cannot be read.

    Args:
        may_hold_key: a private key beside the certificate is skipped; in what was sent over a network it is refused.

    Raises:
        CertificateError: the text is empty, too long or no certificate, or it has no leaf, or several.
    """
    if len(data) > MAX_CHARACTERS:
        raise CertificateError(f"The PEM is {len(data):,} characters long; {MAX_CHARACTERS:,} are allowed.")
    if not data.strip():
        raise CertificateError("There is no certificate: the text is empty.")
    leaves, unreadable = [], []
    for block in _certificates(data, may_hold_key=may_hold_key):
        try:
            certificate = read_certificate(block.der)
        except CertificateError as error:
            unreadable.append(error)
            continue
        if not certificate.is_ca:
            leaves.append(certificate)
    if not leaves and unreadable:
        raise unreadable[0]
    if not leaves:
        raise CertificateError("The PEM holds only CA certificates, and no device certificate.")
    if len(leaves) > 1:
        raise CertificateError(f"The PEM holds {len(leaves)} device certificates; send one at a time.")
    return leaves[0]


def _certificates(data: bytes, *, may_hold_key: bool) -> list[Block]:
    """The blocks that claim to be certificates."""
    try:
        blocks = unwrap(data)
    except ArmourError as error:
        raise CertificateError(f"The text is not a certificate in PEM: {error}.") from None
    kinds = [kind_of(each) for each in blocks]
    if PRIVATE_KEY in kinds and not may_hold_key:
        raise CertificateError("This holds a private key: never send it. Make a new key, and a certificate for it.")
    found = [block for block, kind in zip(blocks, kinds, strict=True) if kind in (CERTIFICATE, None)]
    if not found:
        raise CertificateError(f"This is {kinds[0]}, not a certificate.")
    return found


def read_certificate(data: bytes) -> ReceivedCertificate:
    """Read one certificate in DER.

    Names may hold what ``cryptography`` does not read, as long as the common name can be read.

    Raises:
        CertificateError: it is damaged, or a part that is needed cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # the kind of all of the library's
        return _read(data)


def subject_of(certificate: x509.Certificate) -> str:
    """The subject as RFC 4514 writes one, for people to read."""
    return _shown(lambda: certificate.subject)


def subject_der_of(certificate: x509.Certificate) -> bytes:
    """The subject as it stands in the certificate, for comparison."""
    return _outline(certificate.public_bytes(Encoding.DER))[2].der


def _read(data: bytes) -> ReceivedCertificate:
    with _part("The text is not a certificate in PEM, or its DER is damaged."):
        serial, issuer, subject, key = _outline(data)
    if serial <= 0:
        raise CertificateError("The certificate's serial number is not positive (RFC 5280 section 4.1.2.2).")
    with _part("The text is not a certificate in PEM, or its DER is damaged."):
        certificate = x509.load_der_x509_certificate(data)
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    with _part(f"The certificate's key is of an unknown kind; AWS IoT takes {KEY_RULE}."):
        public_key = read_public_key(key.der)
        fingerprint = key_fingerprint(public_key)
    with _part("The certificate's subject cannot be read", tell=True):
        common_names = read_common_names(subject)
    with _part("The certificate is signed with an unknown algorithm; use ECDSA or RSA with SHA-256."):
        algorithm = certificate.signature_hash_algorithm
    with _part("The certificate's extensions cannot be read", tell=True):
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
    return ReceivedCertificate(
        certificate=certificate,
        certificate_id=certificate_id(certificate),
        public_key=public_key,
        fingerprint=fingerprint,
        common_names=common_names,
        subject=subject_of(certificate),
        issuer=_shown(lambda: certificate.issuer),
        issuer_der=issuer.der,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        signature_hash=algorithm.name if algorithm else None,
        is_ca=constraints is not None and constraints.ca,
        may_sign_data=usage.digital_signature if usage else None,
        purposes=frozenset(purposes) if purposes is not None else None,
    )


@contextmanager
def _part(sentence: str, *, tell: bool = False) -> Iterator[None]:
    """Reading one part: whatever it raises, ``sentence`` is why the certificate is refused.

    Args:
        tell: the sentence lacks its end, which is what was raised.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  what a stranger's bytes make the library raise is written nowhere
        raise CertificateError(f"{sentence}: {_reason(error)}." if tell else sentence) from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _outline(data: bytes) -> tuple[int, der.Element, der.Element, der.Element]:
    """The serial number, the issuer, the subject and the key of a certificate (RFC 5280 section 4.1)."""
    to_be_signed = der.read(data).expect(der.SEQUENCE).children()[0].expect(der.SEQUENCE).children()
    version = 1 if to_be_signed[0].tag == 0xA0 else 0  # [0] version is left out of a certificate of version 1
    serial, _algorithm, issuer, _validity, subject, key = to_be_signed[version : version + 6]
    return int.from_bytes(serial.expect(der.INTEGER).content, signed=True), issuer, subject, key


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _shown(name: Callable[[], x509.Name]) -> str:
    try:
        return name().rfc4514_string()
    except Exception:  # noqa: BLE001  it is shown to people, and nothing depends on it
        return "(unreadable)"
