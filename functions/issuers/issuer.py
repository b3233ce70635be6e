"""What an issuer does for an enrollment."""

from typing import Protocol

from ledger import Certificate, Device
from pki.csr import Csr


class Issuer(Protocol):
    """One way to have a device's certificate signed and registered. Every method can be repeated."""

    def check(self, csr: Csr) -> None:
        """Refuse a CSR from which this issuer cannot make a usable certificate.

        Raises:
            BadRequest: what is wrong with the CSR.
        """

    def refuse_waiting(self, csr: Csr, device: Device) -> None:
        """Refuse a device for which nothing can be done until a person has done something.

        Raises:
            NotYet: this CSR waits for a CA outside AWS already.
        """

    def issue(self, *, csr: Csr, device: Device, lease: str, now: int) -> tuple[Certificate, str | None]:
        """Have the CSR signed, and record the certificate in the ledger before it may be used.

        Returns the certificate, and its ARN when AWS IoT holds it as active already.

        Args:
            device: as the lease found it.
            lease: the id under which this request works for the device.
            now: seconds since 1970.

        Raises:
            NotYet: a CA outside AWS has to sign it first.
            LedgerError: the device is blocked, or another request has taken over; or the key has had as many
                certificates today as it may have, and nothing is signed.
            ClientError, BotoCoreError: an AWS call failed.
        """

    def has_issued(self, certificate: Certificate) -> bool:
        """Whether a recorded certificate is this issuer's, so that an interrupted enrollment may go on with it."""

    def register(self, certificate: Certificate) -> str:
        """Have AWS IoT hold a recorded certificate as active, and return its ARN.

        Raises:
            Forbidden: this certificate was switched off.
            ClientError, BotoCoreError: an AWS call failed.
        """
