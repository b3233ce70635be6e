"""The key of a CA that is not in AWS: a PEM file, usually encrypted, or a key in a PKCS#11 token."""

import argparse
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleet.errors import Refused
from fleet.files import read
from fleet.passphrase import passphrase, passphrase_option
from pki.certificate_authority_checks import read_ca_certificate
from pki.certificates import Signer
from pki.issued_certificate_checks import CertificateError


def ca_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--ca-cert", metavar="FILE", type=Path, required=required, help="the CA's certificate, PEM")
    parser.add_argument(
        "--ca-key",
        metavar="KEY",
        required=required,
        help="the CA's private key: a PEM file, or pkcs11:… (RFC 7512), such as "
        "'pkcs11:token=fleet;object=ca?module-path=/usr/lib/softhsm/libsofthsm2.so'; the PIN comes from pin-source, "
        "from $ZYMKEY_FLEET_PIN, or is asked for",
    )
    passphrase_option(parser)


def open_ca(options: argparse.Namespace) -> tuple[x509.Certificate, Signer]:
    """The CA that ``ca_options`` name: its certificate, and a key that signs for it.

    Raises:
        Refused: a file or the token cannot be read, the passphrase is wrong, or the two do not belong together.
    """
    try:
        certificate = read_ca_certificate(read(options.ca_cert, "CA certificate"))
    except CertificateError as error:
        raise Refused(f"{options.ca_cert}: {error}") from None
    if options.ca_key.startswith("pkcs11:"):
        # Not at the top: the module loads only where its PKCS#11 package is installed.
        from fleet.pkcs11_key import open_pkcs11_key

        signer = open_pkcs11_key(options.ca_key, public_key=certificate.public_key())
    else:
        signer = _read_key(Path(options.ca_key), options.passphrase_file)
    if not _belongs_to(certificate, signer):
        raise Refused(f"The key {options.ca_key} is not the one of the certificate {options.ca_cert}.")
    return certificate, signer


def _belongs_to(certificate: x509.Certificate, signer: Signer) -> bool:
    """Shown by a signature: a token may not even hold the public half."""
    probe, key = b"zymkey-fleet: is this the CA's key?", certificate.public_key()
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
    pem = read(path, "CA key")
    secret = passphrase("passphrase of the CA key", file=passphrase_file) if _is_encrypted(pem) else None
    try:
        key = load_pem_private_key(pem, secret)
    except ValueError:
        wrong = "the passphrase is wrong, or the file is damaged" if secret else "it holds no private key in PEM"
        raise Refused(f"The CA key {str(path)!r} cannot be opened: {wrong}.") from None
    except UnsupportedAlgorithm:
        raise Refused(f"The CA key {str(path)!r} is of a kind that is not known here.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Refused(f"The CA key {str(path)!r} is neither an EC nor an RSA key; AWS IoT takes no other CA.")
    return key


def _is_encrypted(pem: bytes) -> bool:
    """PKCS#8 says it in its label (RFC 7468 section 11), the older form in a header (RFC 1421 section 4.6.1.1)."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem
