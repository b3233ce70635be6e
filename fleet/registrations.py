"""What became of the certificates that the operator brought: a line for each, and one exit code for all."""

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
    failure: FleetError | None = None

    @property
    def certificate_id(self) -> str | None:
        return certificate_id(self.certificate) if self.certificate else None


def show(registrations: Sequence[Registration], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "registered": each.failure is None,
                    "certificateId": each.certificate_id,
                    "reason": None if each.failure is None else each.failure.cause,
                    "try": None if each.failure is None else each.failure.cure,
                }
                for each in registrations
            ]
        )
    elif registrations:
        print_table(
            ["NAME", "RESULT", "CERTIFICATE-OR-REASON"],
            [
                [each.name, "refused", each.failure.in_one_line]
                if each.failure
                else [each.name, "registered", each.certificate_id]
                for each in registrations
            ],
        )


def exit_code(registrations: Sequence[Registration]) -> int:
    """0 when all are registered; else the exit code of the first failure."""
    return next((each.failure.exit_code for each in registrations if each.failure), 0)
