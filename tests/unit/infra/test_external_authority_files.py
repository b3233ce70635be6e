"""An external CA that AWS IoT would refuse ends synth with the setting, the file and the reason."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from infra.external_authority_files import AuthorityFiles, read_authority_files
from infra.setting_readers import SettingsError
from infra.settings import ExternalCertificateAuthority
from pki.certificates import ca_certificate, verification_certificate
from pki.fingerprint import certificate_id

NOW = datetime.now(UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
CA = ca_certificate(signer=KEY, common_name="workshop CA", organization="", validity_years=1, now=NOW)
VERIFICATION = verification_certificate(signer=KEY, ca=CA, registration_code="code", now=NOW)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def read(folder: Path, *, certificate: str | None, verification: str | None = None) -> AuthorityFiles:
    """Read the files of the settings after writing those that have content."""
    for name, content in (("ca.pem", certificate), ("verification.pem", verification)):
        if content is not None:
            (folder / name).write_text(content)
    return read_authority_files(
        ExternalCertificateAuthority(
            certificate=folder / "ca.pem",
            verification_certificate=None if verification is None else folder / "verification.pem",
        )
    )


def test_what_the_files_hold_around_the_certificate_stays_out_of_the_template(tmp_path: Path) -> None:
    files = read(tmp_path, certificate=f"Bag Attributes\n{pem(CA)}\n\n", verification=f"text\n{pem(VERIFICATION)}")
    assert files == AuthorityFiles(certificate_pem=pem(CA), verification_pem=pem(VERIFICATION))


def test_a_ca_alone_is_enough(tmp_path: Path) -> None:
    assert read(tmp_path, certificate=pem(CA)).verification_pem is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, certificate=None)
    assert str(refusal.value) == (
        f'zymkey-fleet.externalCertificateAuthority.certificate is "{tmp_path}/ca.pem", which cannot be read: '
        "No such file or directory."
    )


def test_a_ca_that_aws_iot_would_refuse_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, certificate=pem(VERIFICATION))
    assert str(refusal.value) == (
        f'zymkey-fleet.externalCertificateAuthority.certificate is "{tmp_path}/ca.pem", which cannot be used: '
        "The CA certificate is not a CA's: basicConstraints CA:TRUE is missing."
    )


def test_a_verification_certificate_of_another_ca_is_refused_under_its_own_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\.verificationCertificate is .* is not signed by the CA"):
        other = verification_certificate(
            signer=ec.generate_private_key(ec.SECP256R1()), ca=CA, registration_code="code", now=NOW
        )
        read(tmp_path, certificate=pem(CA), verification=pem(other))


def test_the_proof_of_a_ca_that_was_registered_long_ago_may_be_over(tmp_path: Path) -> None:
    """Or no deployment after the day of the registration would be possible."""
    old = verification_certificate(signer=KEY, ca=CA, registration_code="code", now=NOW - timedelta(days=2))
    files = read(tmp_path, certificate=pem(CA), verification=pem(old))
    assert files == AuthorityFiles(certificate_pem=pem(CA), verification_pem=pem(old), is_verification_expired=True)


def test_an_adopted_registration_of_another_ca_is_refused_with_both_ids(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pem(CA))
    settings = ExternalCertificateAuthority(certificate=tmp_path / "ca.pem", verification_certificate=None)
    own = certificate_id(CA)
    assert read_authority_files(settings, adopted=own).certificate_pem == pem(CA)
    with pytest.raises(SettingsError, match=rf"id in AWS IoT is {own}, but .*adopt.* is {'0' * 64}\.$"):
        read_authority_files(settings, adopted="0" * 64)
