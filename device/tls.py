"""TLS with a key that cannot leave its hardware, in the standard `ssl` module.

`sslcontext` gives OpenSSL a private key that asks a Python object for each handshake signature, so whatever
takes an `ssl.SSLContext` (http.client, requests, paho-mqtt) works with the HSM's key.
"""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .certificate import DeviceCertificate
from .errors import CertificateUnusable, DeviceError, KeyUnavailable, SignerUnsupported, UsageError
from .keys import DeviceKey


def roots(ca_file: Path | None) -> Path:
    """The file of trusted roots: `ca_file`, or certifi's, which has Amazon Root CA 1 and 3.

    The device's own CA is never among them: AWS IoT's server certificate does not come from there.
    """
    if ca_file is not None:
        return ca_file
    import certifi

    return Path(certifi.where())


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that verifies the server against `roots`, TLS 1.2 or later."""
    ca_file = roots(ca_file)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise UsageError(f"the CA file {ca_file} holds no certificate in PEM.") from None
    except OSError as error:
        raise UsageError(f"the CA file {ca_file} cannot be read: {error.strerror}.") from None


class HandshakeSigner:
    """What `sslcontext` asks for a signature, and where the reason stays when the key does not give one.

    OpenSSL turns any failure in here into a failed handshake that says nothing, so whoever sees a handshake
    fail looks at `failure` first.
    """

    def __init__(self, key: DeviceKey) -> None:
        self._key = key
        self.failure: DeviceError | None = None

    def sign(self, digest: bytes, *, hash: str, padding: Any = None, salt_length: int | None = None) -> bytes:
        """The DER ECDSA signature of `digest`. The names of the arguments are sslcontext's."""
        try:
            return self._key.sign_hashed(digest)
        except DeviceError as failure:
            self.failure = failure
            raise
        except Exception as defect:
            self.failure = KeyUnavailable(f"the {self._key.title()} did not sign: {type(defect).__name__}.")
            raise


def present(
    context: ssl.SSLContext, certificate: DeviceCertificate, key: DeviceKey, *, chain: Sequence[DeviceCertificate] = ()
) -> HandshakeSigner:
    """Make `certificate` and `key` what this context shows to servers that ask. Costs no signature.

    `chain` goes along with the certificate: the CA that signed it first.
    """
    import sslcontext

    # It logs a stack trace when a signer fails; HandshakeSigner keeps the reason for whoever tells it.
    logging.getLogger("sslcontext").addHandler(logging.NullHandler())
    signer = HandshakeSigner(key)
    identity = sslcontext.Identity(
        certificate=certificate.der, signer=signer, chain=tuple(each.der for each in chain), label=key.title()
    )
    try:
        sslcontext.load_identity(context, identity)
    except sslcontext.UnsupportedOpenSSLError as error:
        raise SignerUnsupported(
            f"this Python's OpenSSL cannot ask another program for a signature: {error}.",
            cure="--tls curl; or the Python that comes with Raspberry Pi OS (bookworm or later)",
        ) from None
    except (sslcontext.CredentialError, ValueError) as error:
        raise CertificateUnusable(f"TLS does not take the certificate: {error}.") from None
    return signer
