"""TLS with a key that cannot leave its hardware, in the standard ``ssl`` module.

``sslcontext`` gives OpenSSL a private key that asks a Python object for each handshake signature, so every library that
takes an ``ssl.SSLContext`` (requests, paho-mqtt, http.client) works with the key in the HSM.
"""

import logging
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .certificate import DeviceCertificate
from .client_context import ClientContext
from .cures import BOOTSTRAP, CHECK_CA_FILE
from .errors import CertificateUnusable, DeviceError, KeyUnavailable, SignerUnsupported, UsageError
from .keys import DeviceKey


def roots(ca_file: Path | None) -> Path:
    """The file of trusted roots: ``ca_file``, or certifi's, which has Amazon Root CA 1 and 3.

    The CA that signs the devices is not among them: it does not sign the certificates of AWS's servers.
    """
    if ca_file is not None:
        return ca_file
    import certifi

    return Path(certifi.where())


def client_context(ca_file: Path | None) -> ClientContext:
    """A context that verifies the server against ``roots``, for TLS 1.2 or later.

    It is as strict as ``ssl.create_default_context`` makes its own with this Python.

    Raises:
        UsageError: ``ca_file`` cannot be read, or holds no certificate.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.given_roots = ca_file
    ca_file = roots(ca_file)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        from .pem import why_no_roots

        raise UsageError(f"the CA file {ca_file} {why_no_roots(ca_file)}.", cure=CHECK_CA_FILE) from None
    except OSError as error:
        raise UsageError(f"the CA file {ca_file} cannot be read: {error.strerror}.", cure=CHECK_CA_FILE) from None
    return context


class HandshakeSigner:
    """The object that ``sslcontext`` asks for signatures. It keeps the reason when the key does not sign.

    OpenSSL turns any failure in here into a failed handshake without a reason, so after a failed handshake look at
    ``failure`` first.
    """

    def __init__(self, key: DeviceKey) -> None:
        self._key = key
        self.failure: DeviceError | None = None

    def sign(self, digest: bytes, *, hash: str, padding: Any = None, salt_length: int | None = None) -> bytes:
        """The ECDSA signature of ``digest``, in DER. The names of the arguments are sslcontext's."""
        # What failed in an earlier handshake does not explain this one.
        self.failure = None
        try:
            return self._key.sign_hashed(digest)
        except DeviceError as failure:
            self.failure = failure
            raise
        except Exception as defect:
            self.failure = KeyUnavailable(
                f"the {self._key.title()} did not sign: {type(defect).__name__}.",
                cure="find the reason: zymkey-iot doctor",
            )
            raise


def present(
    context: ssl.SSLContext, certificate: DeviceCertificate, key: DeviceKey, *, chain: Sequence[DeviceCertificate] = ()
) -> HandshakeSigner:
    """Have this context show ``certificate`` to servers that ask, and sign with ``key``. Costs no signature yet.

    Args:
        chain: is shown with the certificate; the CA that signed it comes first.

    Raises:
        SignerUnsupported: this Python's OpenSSL cannot ask another program for a signature.
        CertificateUnusable: OpenSSL does not accept the certificate.
    """
    import sslcontext

    # It logs a stack trace when a signer fails; HandshakeSigner keeps the reason instead.
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
            cure="--tls curl, or the Python that comes with Raspberry Pi OS (bookworm or later)",
        ) from None
    except (sslcontext.CredentialError, ValueError) as error:
        raise CertificateUnusable(f"OpenSSL does not accept the certificate: {error}.", cure=BOOTSTRAP) from None
    if isinstance(context, ClientContext):
        context.shows_certificate = True
    return signer
