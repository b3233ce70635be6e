"""The key of a CA that is not in AWS: a PEM file, usually encrypted, or a key in a PKCS#11 token."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from fleet.errors import Refused
from fleet.files import read
from fleet.passphrase import add_passphrase, passphrase
from pki.armour import ArmourError, armour, unwrap
from pki.certificate_authority_checks import check_certificate_authority, read_ca_certificate
from pki.certificates import Signer
from pki.key_rules import public_key_of
from pki.kinds import PRIVATE_KEY, kind_of
from pki.received_certificate import CertificateError

# Why a file gives no key, and what to try.
_UNREADABLE = ("it holds no private key in PEM", "give the file with the CA's private key, in PEM")
_NOT_DECRYPTED = ("the passphrase is wrong, or the file is damaged", "give the right passphrase")
_EC_OR_RSA = "use a CA with an EC or an RSA key: AWS IoT takes no other"


def add_ca(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """The CA's certificate and its key; without ``required`` both or neither."""
    parser.add_argument("--ca-cert", metavar="FILE", type=Path, required=required, help="the CA's certificate, PEM")
    parser.add_argument(
        "--ca-key",
        metavar="KEY",
        required=required,
        help="the CA's private key: a PEM file, or pkcs11:… (RFC 7512), such as "
        "'pkcs11:token=fleet;object=ca?module-path=/usr/lib/softhsm/libsofthsm2.so'; the PIN comes from pin-source, "
        "from $ZYMKEY_FLEET_PIN, or the command asks",
    )
    add_passphrase(parser)


def has_ca(arguments: argparse.Namespace) -> bool:
    """Whether the command line names a CA.

    Raises:
        Refused: it names the certificate without the key, or the key without the certificate.
    """
    if (arguments.ca_cert is None) != (arguments.ca_key is None):
        raise Refused("--ca-cert and --ca-key belong together.", cure="give both, or neither")
    return arguments.ca_cert is not None


def open_ca(arguments: argparse.Namespace) -> tuple[x509.Certificate, Signer]:
    """The CA that the options of ``add_ca`` name: its certificate, and a key that signs for it.

    Raises:
        Refused: a file or the token cannot be read, the passphrase is wrong, or the two do not belong together.
    """
    try:
        certificate = read_ca_certificate(read(arguments.ca_cert, "CA certificate"))
    except CertificateError as error:
        raise Refused(f"{arguments.ca_cert}: {error}", cure="give the CA's own certificate, in PEM") from None
    try:
        public_key = public_key_of(certificate)
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(f"The key of the CA {arguments.ca_cert} is of an unknown kind.", cure=_EC_OR_RSA) from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise Refused(f"The key of the CA {arguments.ca_cert} is neither an EC nor an RSA key.", cure=_EC_OR_RSA)
    if arguments.ca_key.startswith("pkcs11:"):
        # Not at the top: the module loads only where its PKCS#11 package is installed.
        from fleet.pkcs11_key import open_pkcs11_key

        signer = open_pkcs11_key(arguments.ca_key, public_key=public_key)
    else:
        signer = _read_key(Path(arguments.ca_key), arguments.passphrase_file)
    if not _belong_together(public_key, signer):
        raise Refused(
            f"The key {arguments.ca_key} does not belong to the certificate {arguments.ca_cert}.",
            cure="give the certificate and the key of the same CA",
        )
    return certificate, signer


def refuse_unsuitable_ca(certificate: x509.Certificate) -> None:
    """Check that AWS IoT takes a CA, and what it signs, now.

    Raises:
        Refused: why not.
    """
    try:
        check_certificate_authority(certificate, now=datetime.now(UTC))
    except CertificateError as error:
        raise Refused(str(error), cure="use a CA that `zymkey-fleet ca check` accepts") from None


def _belong_together(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, signer: Signer) -> bool:
    """Proved by a signature: a token may not even hold the public half."""
    probe = b"zymkey-fleet: is this the CA's key?"
    try:
        if isinstance(signer, ec.EllipticCurvePrivateKey) and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signer.sign(probe, ec.ECDSA(hashes.SHA256())), probe, ec.ECDSA(hashes.SHA256()))
        elif isinstance(signer, rsa.RSAPrivateKey) and isinstance(key, rsa.RSAPublicKey):
            signature = signer.sign(probe, padding.PKCS1v15(), hashes.SHA256())
            key.verify(signature, probe, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _read_key(path: Path, passphrase_file: Path | None) -> Signer:
    load = _loader(path)
    secret = None
    try:
        try:
            key = load(None)
        except TypeError:  # it is encrypted
            secret = passphrase("passphrase of the CA key", file=passphrase_file)
            key = load(secret)
    except ValueError:
        wrong, cure = _UNREADABLE if secret is None else _NOT_DECRYPTED
        raise Refused(f"The CA key {str(path)!r} cannot be opened: {wrong}.", cure=cure) from None
    except UnsupportedAlgorithm:
        raise Refused(f"The CA key {str(path)!r} is of an unknown kind.", cure=_EC_OR_RSA) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Refused(f"The CA key {str(path)!r} is neither an EC nor an RSA key.", cure=_EC_OR_RSA)
    return key


def _loader(path: Path) -> Callable[[bytes | None], object]:
    """How to open the one private key in a file, in any wrapping that ``pki.armour`` knows, with its passphrase.

    Raises:
        Refused: what the file holds instead.
    """
    content = read(path, "CA key")
    if b"Proc-Type:" in content:  # the older encryption, whose parameters are in the PEM's header (RFC 1421)
        return lambda secret: load_pem_private_key(content, secret)
    wrong, cure = _UNREADABLE
    try:
        blocks = unwrap(content)
    except ArmourError:
        raise Refused(f"The CA key {str(path)!r} cannot be opened: {wrong}.", cure=cure) from None
    keys = [block for block in blocks if kind_of(block) == PRIVATE_KEY]
    if len(keys) > 1:
        raise Refused(f"The file {str(path)!r} holds {len(keys)} private keys.", cure="give a file with the CA's alone")
    if not keys:
        kinds = [kind for kind in map(kind_of, blocks) if kind is not None]
        holds = f"it holds {kinds[0]}, and no private key" if kinds else wrong
        raise Refused(f"The CA key {str(path)!r} cannot be opened: {holds}.", cure=cure)
    (block,) = keys
    if not block.label:
        return lambda secret: load_der_private_key(block.der, secret)
    return lambda secret: load_pem_private_key(armour(block.label, block.der).encode("ascii"), secret)
