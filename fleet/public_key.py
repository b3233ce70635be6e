"""A public key as an operator gives it: a file, or a fingerprint."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fleet.errors import Refused
from fleet.files import read
from pki.csr import CsrError, read_csr
from pki.fingerprint import is_key_fingerprint, key_fingerprint
from pki.key_rules import KEY_RULE, describe_key, is_acceptable_key

_OTHERWISE = "give the fingerprint that `zymkey-iot key` shows on the device"


def fingerprint_of(key: str) -> str:
    """The fingerprint that ``key`` is, or that the public key in the file ``key`` has.

    Raises:
        Refused: it is neither, or AWS IoT would not take a certificate for this key.
    """
    if is_key_fingerprint(key):
        return key
    if key.startswith("SHA256:"):
        raise Refused(
            f"{key!r} is not a fingerprint, which is SHA256: and 43 characters.",
            cure="copy the fingerprint that `zymkey-iot key` shows on the device",
        )
    public_key = _public_key(read(Path(key), "key file"), key)
    if not is_acceptable_key(public_key):
        raise Refused(
            f"The key in {key} is {describe_key(public_key)}; AWS IoT takes {KEY_RULE}.",
            cure="use a key of one of these kinds",
        )
    return key_fingerprint(public_key)


def _public_key(text: bytes, file: str) -> CertificatePublicKeyTypes:
    if b"PRIVATE KEY-----" in text:
        raise Refused(f"{file} holds a private key.", cure="keep it secret, and give the public key or a CSR")
    try:
        if b"-----BEGIN CERTIFICATE-----" in text:
            return x509.load_pem_x509_certificate(text).public_key()
        if b"CERTIFICATE REQUEST-----" in text:
            return read_csr(text).public_key
        return load_pem_public_key(text)  # type: ignore[return-value]  # what is no certificate's key is refused next
    except CsrError as error:
        raise Refused(f"{file}: {error}", cure=_OTHERWISE) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(f"{file} holds no public key, CSR or certificate in PEM.", cure=_OTHERWISE) from None
