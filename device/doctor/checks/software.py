"""Python, its packages, and who does TLS with them."""

import platform
import ssl
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...cures import pip_install
from ...errors import SignerUnsupported, UsageError
from ..examination import Examination
from ..finding import Finding, ok, warning

PACKAGES = ("cryptography", "sslcontext", "certifi", "requests", "urllib3")
"""The packages that every kind of key needs."""


def python(examination: Examination) -> Finding:
    """Whether the packages can be imported, and ``import zymkey`` in the user's own programs too."""
    for package in PACKAGES:
        try:
            import_module(package)
        except ImportError as error:
            raise UsageError(
                f"the Python package {package} cannot be imported: {error}.",
                cure=f"install zymkey-iot again, in the folder of this project: {pip_install('--force-reinstall .')}",
            ) from None
    found = f"Python {platform.python_version()} ({platform.machine()})"
    if examination.settings.key.startswith("zymkey:") and not has_distutils():
        return warning(
            f"{found} has no distutils. zymkey-iot works without it, but your own programs fail at import zymkey.",
            cure="pip install setuptools, which brings distutils back",
        )
    return ok(f"{found}, " + ", ".join(f"{package} {_version(package)}" for package in PACKAGES))


def has_distutils() -> bool:
    """Whether the vendor's module finds ``distutils.sysconfig``: Python 3.12 removed it, setuptools brings it back."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return find_spec("distutils.sysconfig") is not None
    except ImportError:
        return False


def tls(examination: Examination) -> Finding:
    """Whether this Python's OpenSSL can ask the key for signatures; tried with a throw-away key."""
    if examination.by_curl:
        return ok("curl, as the settings say", way="curl")
    try:
        _try_signer(examination)
    except SignerUnsupported as error:
        if examination.settings.tls == "signer":
            raise
        examination.signer_supported = False
        return warning(
            f"{error.cause.rstrip('.')}. This device publishes with curl and an OpenSSL engine; MQTT does not work.",
            cure=error.cure,
            way="curl",
        )
    return ok(f"this process, with {' '.join(ssl.OPENSSL_VERSION.split()[:2])}", way="signer")


def _try_signer(examination: Examination) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    from ...certificate import DeviceCertificate, now
    from ...keys.file import FileKey
    from ...tls import client_context, present

    private_key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now())
        .not_valid_after(now())
        .sign(private_key, hashes.SHA256())
    )
    context = client_context(examination.settings.ca_file)
    present(context, DeviceCertificate(certificate), FileKey(Path("throw-away"), private_key))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(version unknown)"
