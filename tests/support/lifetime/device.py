"""A device, as far as a fleet's lifetime is concerned: what it has on its card, and when it asks.

The device's own moment of renewal is used. What ``device/`` does between two requests (files, hooks, power cuts) has
its own tests; here a run is: ask, try the new certificate with a publish, put it into use, confirm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.certificate import DeviceCertificate
from device.renew import renewal_time
from pki.fingerprint import certificate_id, key_fingerprint
from tests.support.aws_fleet import csr_body


@dataclass
class Device:
    """One board with one HSM.

    Attributes:
        token: its one-time token, until it is enrolled.
        in_use: the certificate that its programs connect with.
        candidate: one that it received, and has not tried yet.
        unconfirmed: it has still to say that ``in_use`` has worked.
        may_work: the operator wants it to work: it is let in, and neither blocked nor replaced.
    """

    name: str
    token: str | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    in_use: x509.Certificate | None = None
    candidate: x509.Certificate | None = None
    unconfirmed: bool = False
    may_work: bool = True
    _csr: bytes | None = None

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.key.public_key())

    @property
    def csr(self) -> bytes:
        """Signed once: it is always the same question."""
        if self._csr is None:
            self._csr = csr_body(self.key, self.name)
        return self._csr

    @property
    def credentials(self) -> tuple[str, str] | None:
        return (self.name, self.token) if self.token else None

    @property
    def in_use_id(self) -> str | None:
        return None if self.in_use is None else certificate_id(self.in_use)

    @property
    def renews_at(self) -> float:
        """When its timer asks; now, as long as it has no certificate."""
        if self.in_use is None:
            return 0.0
        key = cast(Any, SimpleNamespace(fingerprint=self.fingerprint))
        return renewal_time(DeviceCertificate(self.in_use), key).timestamp()
