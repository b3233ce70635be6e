"""How a throw-away device gets its certificate: invited, with a token, from the live endpoint."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.deployment import Deployment
from fleet.enrollment_api import TRY_AGAIN, read_certificates
from fleet.https import Reply
from fleet.smoke_test import settling
from fleet.smoke_test.device import ThrowAwayDevice
from fleet.smoke_test.report import StepFailed
from ledger.token import token_hash
from pki.issuers import EXTERNAL
from pki.received_certificate import read_certificate

ENROLL = "/.well-known/est/simpleenroll"
_INVITATION_SECONDS = 600

# How the external CA signs for a device; None when its key is not given.
Sign = Callable[[ThrowAwayDevice], x509.Certificate] | None


class Enrollment:
    """One throw-away device, as the endpoint sees it."""

    def __init__(self, *, deployment: Deployment, device: ThrowAwayDevice, sign: Sign) -> None:
        self._deployment = deployment
        self._device = device
        self._sign = sign
        self._token = secrets.token_urlsafe(32)

    def without_invitation(self) -> Reply:
        """With an invented token: without one, ``uninvited: approve`` would hold the key for approval."""
        return self._post_csr(secrets.token_urlsafe(32))

    def run(self) -> x509.Certificate:
        """Invite the device, and enroll it.

        Raises:
            StepFailed: the endpoint issued nothing, or not what it should.
        """
        now = int(time.time())
        self._deployment.ledger.invite(
            self._device.name,
            token_hash=token_hash(self._token),
            token_expires=now + _INVITATION_SECONDS,
            by=self._deployment.operator,
            now=now,
        )
        reply = self._wait_for_answer()
        if reply.status_code == 202 and self._deployment.outputs.issuer == EXTERNAL:
            if self._sign is None:
                raise StepFailed("the CSR waits for its signature: give --ca-cert and --ca-key")
            self._deployment.api.upload(self._sign(self._device))
            reply = self._wait_for_answer()
        certificates = _issued(reply)
        if len(certificates) != 1:
            raise StepFailed(f"expected one certificate, got {len(certificates)}")
        (certificate,) = certificates
        if read_certificate(certificate.public_bytes(Encoding.DER)).fingerprint != self._device.fingerprint:
            raise StepFailed("the certificate is for another key")
        return certificate

    def again(self) -> list[x509.Certificate]:
        """What the same key gets when it asks again.

        Raises:
            StepFailed: nothing.
        """
        return _issued(self._wait_for_answer())

    def _post_csr(self, token: str) -> Reply:
        return self._deployment.api.send(
            "POST",
            ENROLL,
            data=self._device.csr(),
            auth=(self._device.name, token),
            headers={"Content-Type": "application/pkcs10"},
        )

    def _wait_for_answer(self) -> Reply:
        """Ask until the answer is neither "busy" nor "throttled"; a CSR that waits for a signature is an answer too."""
        deadline = time.monotonic() + settling.SETTLES_SECONDS
        while True:
            reply = self._post_csr(self._token)
            is_queued = self._deployment.outputs.issuer == EXTERNAL and self._is_queued()
            if reply.status_code not in TRY_AGAIN or is_queued or time.monotonic() > deadline:
                return reply
            time.sleep(settling.PAUSE_SECONDS)

    def _is_queued(self) -> bool:
        device = self._deployment.ledger.device(self._device.name)
        return device is not None and device.csr is not None


def show(reply: Reply) -> str:
    """A reply in one line."""
    return f"{reply.status_code} {' '.join(reply.text.split())[:300]}"


def _issued(reply: Reply) -> list[x509.Certificate]:
    if reply.status_code != 200:
        raise StepFailed(f"expected 200, got {show(reply)}")
    return read_certificates(reply)
