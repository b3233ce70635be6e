"""A CA of one's own for the sandbox's external issuer: made, proved and used with the operator's own commands.

Its key is a file, encrypted with a passphrase in a file beside it: an example, for this machine alone.
"""

import json
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from pki.names import common_names

from .addresses import REPOSITORY
from .errors import SandboxError

FLEET_COMMAND = REPOSITORY / "bin" / "zymkey-fleet"


@dataclass(frozen=True, kw_only=True)
class ExampleAuthority:
    """PEM files: the CA's certificate and key, the key's passphrase, and what the CA signed for AWS IoT."""

    certificate: Path
    key: Path
    passphrase: Path
    verification_certificate: Path

    def settings(self) -> str:
        """cdk.json's externalCertificateAuthority."""
        return json.dumps(
            {
                "certificate": str(self.certificate),
                "verificationCertificate": str(self.verification_certificate),
            }
        )


def ensure_example_authority(directory: Path, aws: Mapping[str, str], registration_code: str) -> ExampleAuthority:
    """Make the CA in ``directory``, or keep the one that is there; prove it to the account of ``registration_code``.

    Each start of the emulator is a new account with a new code.
    """
    authority = _in_directory(directory)
    if not authority.certificate.exists():
        directory.mkdir(parents=True, exist_ok=True)
        authority.passphrase.touch(mode=0o600)
        authority.passphrase.write_text(secrets.token_urlsafe(16) + "\n")
        _fleet(["ca", "create", directory, "--passphrase-file", authority.passphrase], aws)
    if not is_proved_to(directory, registration_code):
        signing: list[str | Path] = ["--ca-cert", authority.certificate, "--ca-key", authority.key]
        answer = _fleet(["ca", "verification-csr", *signing, "--passphrase-file", authority.passphrase], aws)
        authority.verification_certificate.write_text(answer["certificate"])
    return authority


def is_proved_to(directory: Path, registration_code: str) -> bool:
    """Whether the CA in ``directory`` has signed a verification certificate for this code."""
    certificate = _in_directory(directory).verification_certificate
    if not certificate.exists():
        return False
    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    return common_names(subject) == [registration_code]


def _in_directory(directory: Path) -> ExampleAuthority:
    return ExampleAuthority(
        certificate=directory / "ca.crt",
        key=directory / "ca.key",
        passphrase=directory / "passphrase",
        verification_certificate=directory / "verification.crt",
    )


def _fleet(arguments: Sequence[str | Path], aws: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [FLEET_COMMAND, *arguments, "--json"], env=dict(aws), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SandboxError(f"The example CA cannot be made: {done.stderr.strip()}")
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply
