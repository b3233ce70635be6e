"""The files of the external CA, read and checked while the app is synthesized.

A CA that AWS IoT would refuse ends synth with the reason, before anything is deployed. Only the account knows its
registration code, so that is not checked here; ``zymkey-fleet ca check`` does it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from infra.setting_readers import SettingsError
from infra.settings import CONTEXT_KEY, ExternalCertificateAuthority
from pki.certificate_authority_checks import (
    check_certificate_authority,
    check_verification_certificate,
    read_ca_certificate,
    read_verification_certificate,
)
from pki.fingerprint import certificate_id
from pki.received_certificate import CertificateError

_WHERE = f"{CONTEXT_KEY}.externalCertificateAuthority"


@dataclass(frozen=True, kw_only=True)
class AuthorityFiles:
    """A CA that AWS IoT takes, as PEM without any text around it.

    With an expired verification certificate, AWS IoT takes it only if it has it already.
    """

    certificate_pem: str
    verification_pem: str | None
    is_verification_expired: bool = False


def read_authority_files(settings: ExternalCertificateAuthority, *, adopted: str | None = None) -> AuthorityFiles:
    """Read and check the files that the settings name, relative to the folder of cdk.json.

    Args:
        adopted: the id of the registration that is to be used instead of a new one.

    Raises:
        SettingsError: a file cannot be read, AWS IoT would refuse what it holds, or another CA is adopted.
    """
    now = datetime.now(UTC)
    setting, path = f"{_WHERE}.certificate", settings.certificate
    try:
        ca = read_ca_certificate(_content(setting, path))
        check_certificate_authority(ca, now=now)
        certificate_pem = _pem(ca)
        if adopted not in (None, certificate_id(ca)):
            raise CertificateError(
                f"Its id in AWS IoT is {certificate_id(ca)}, but {CONTEXT_KEY}.adopt.externalCertificateAuthority is "
                f"{adopted}."
            )
        if settings.verification_certificate is None:
            return AuthorityFiles(certificate_pem=certificate_pem, verification_pem=None)
        setting, path = f"{_WHERE}.verificationCertificate", settings.verification_certificate
        verification = read_verification_certificate(_content(setting, path))
        # AWS IoT reads it once, at the registration, and another one would replace the registration: the settings go
        # on naming it when it has expired, which may be a day later.
        check_verification_certificate(verification, ca=ca, now=None)
    except CertificateError as error:
        raise SettingsError(f'{setting} is "{path}", which cannot be used: {error}') from None
    return AuthorityFiles(
        certificate_pem=certificate_pem,
        verification_pem=_pem(verification),
        is_verification_expired=verification.not_valid_after_utc <= now,
    )


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f'{setting} is "{path}", which cannot be read: {error.strerror}.') from None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
