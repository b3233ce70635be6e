"""What became of certificates that the operator brought: a line for each, and one exit code for all."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from fleet.errors import FleetError
from fleet.output import print_json, print_table
from pki.fingerprint import certificate_id


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One certificate, or the attempt to make one; registered unless there is a ``failure``."""

    name: str  # the device's, or the file's where the device is not known
    certificate: x509.Certificate | None
    failure: Exception | None = None


def show(registrations: Sequence[Registration], *, as_json: bool) -> None:
    ids = [certificate_id(each.certificate) if each.certificate else None for each in registrations]
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "registered": each.failure is None,
                    "certificateId": identifier,
                    "reason": None if each.failure is None else str(each.failure),
                }
                for each, identifier in zip(registrations, ids, strict=True)
            ]
        )
    elif registrations:
        print_table(
            ["NAME", "RESULT", "CERTIFICATE-OR-REASON"],
            [
                [each.name, "refused", str(each.failure)] if each.failure else [each.name, "registered", identifier]
                for each, identifier in zip(registrations, ids, strict=True)
            ],
        )


def exit_code(registrations: Sequence[Registration]) -> int:
    """0 when all are registered; else what the first failure stands for."""
    failures = [each.failure for each in registrations if each.failure]
    if not failures:
        return 0
    return failures[0].exit_code if isinstance(failures[0], FleetError) else 1
