"""Reads the ledger and AWS IoT, and reads again whatever does not agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleet.audit import iot
from fleet.audit.judgement import Finding, Kind, Registered, judge, unknown_and_permitted, unknown_and_powerless
from fleet.deployment import Deployment
from ledger import Device
from pki.issuers import AMAZON
from pki.names import is_device_name


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One look at a deployment.

    Attributes:
        grace_seconds: how long a superseded certificate may stay active.
        now: seconds since 1970.
    """

    deployment: Deployment
    grace_seconds: int
    now: int

    def findings(self) -> Iterator[Finding]:
        """Compare two lists, then read again, one by one, what does not agree: devices enroll meanwhile."""
        ledger = self.deployment.ledger
        registered = {each.certificate_id: each for each in iot.registered_certificates(self.deployment)}
        permitted = set(iot.permitted_targets(self.deployment))
        devices = {each.name: each for each in ledger.devices()}
        certificates = [each for name in devices for each in ledger.certificates(name)]
        for certificate in certificates:
            listed = registered.get(certificate.certificate_id)
            kind = judge(
                certificate,
                device=devices[certificate.device],
                registered=listed,
                is_permitted=listed is not None and listed.arn in permitted,
                grace_seconds=self.grace_seconds,
                now=self.now,
            )
            if kind is not None:
                yield from self._read_again(certificate.device, certificate.certificate_id)
        known = {each.certificate_id for each in certificates}
        for each in unknown_and_permitted(known=known, registered=registered, permitted=permitted):
            owner = self._owner(each)
            if owner is None:
                yield Finding(kind=Kind.UNKNOWN, certificate_id=each.certificate_id)
            else:
                yield from self._read_again(owner, each.certificate_id)
        if self._has_amazon_signed(devices):
            for each in unknown_and_powerless(known=known, registered=registered, permitted=permitted, now=self.now):
                yield from self._unfinished(each)

    def _read_again(self, name: str, certificate_id: str) -> Iterator[Finding]:
        """AWS IoT first: what happens after that can only make the ledger know more."""
        registered = iot.describe(certificate_id, self.deployment)
        is_permitted = registered is not None and self.deployment.outputs.iot_policy in iot.policies(
            registered, self.deployment
        )
        certificate = self.deployment.ledger.certificate(name, certificate_id)
        if certificate is None:
            return
        kind = judge(
            certificate,
            device=self.deployment.ledger.device(name),
            registered=registered,
            is_permitted=is_permitted,
            grace_seconds=self.grace_seconds,
            now=self.now,
        )
        if kind is not None:
            yield Finding(kind=kind, certificate_id=certificate_id, device=name)

    def _owner(self, registered: Registered) -> str | None:
        """The name of its device: a removed device's certificates stay in the ledger under the name."""
        for name in self._names(registered):
            if self.deployment.ledger.certificate(name, registered.certificate_id) is not None:
                return name
        return None

    def _names(self, registered: Registered) -> Iterator[str]:
        content = iot.content(registered, self.deployment)
        names = [each.text for each in content.common_names] if content is not None else []
        # Another system's may have any name: one that no device can have is not looked up.
        yield from (name for name in names if is_device_name(name))
        yield from iot.things(registered, self.deployment)

    def _has_amazon_signed(self, devices: Mapping[str, Device]) -> bool:
        is_issuer = self.deployment.outputs.issuer == AMAZON
        return is_issuer or any(each.issued_by == AMAZON for each in devices.values())

    def _unfinished(self, registered: Registered) -> Iterator[Finding]:
        """It is the fleet's if its key is: the ledger does not know the key of a foreign certificate."""
        content = iot.content(registered, self.deployment)
        device = None if content is None else self.deployment.ledger.device_of_key(content.fingerprint)
        if device is None:
            return
        if self.deployment.ledger.certificate(device.name, registered.certificate_id) is not None:
            return  # recorded in the meantime
        if iot.policies(registered, self.deployment) or iot.things(registered, self.deployment):
            return
        yield Finding(kind=Kind.UNFINISHED, certificate_id=registered.certificate_id, device=device.name)
