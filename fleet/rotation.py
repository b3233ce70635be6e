"""The steps of a CA's rotation, and which of them are done, as the deployment shows it at this moment.

Nothing is remembered between two looks: each step is read from what it changes.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.x509.oid import NameOID

from fleet.authorities import ACTIVE, FleetAuthority
from fleet.ca_holders import Holders
from fleet.output import iso
from pki.issuers import AMAZON, KMS
from pki.names import common_names

# USD a month for a key in KMS, until it is deleted; nothing while it waits for that (AWS KMS pricing).
_KEY_PRICE = "1.00"
# The setting takes one to three.
_MOST_IN_SETTING = 3


class StepState(StrEnum):
    """How a step stands. Those that are ``now`` can be done at this moment."""

    DONE = "done"
    NOW = "now"
    LATER = "later"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step.

    Attributes:
        id: successor, devices, retire, setting or key.
        what: a sentence or more.
        commands: to type, in this order.
        setting: what to write into the object ``zymkey-fleet`` of cdk.json before that.
    """

    id: str
    state: StepState
    what: str
    commands: tuple[str, ...] = ()
    setting: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What is known of a CA and of what takes its place.

    Attributes:
        issuer: of the deployment: kms, aws or external.
        successor: the CA that issues now, if that is another; None also when Amazon's does.
        holders: the devices that stand on the CA.
        is_declared: whether the deployed settings name it, and do not call it retired.
        key_state: of its key in KMS, such as Enabled or PendingDeletion; ``deleted``; None when it is not in KMS, or
            nobody may tell.
        names: of all CAs in KMS that the fleet ever had.
        year: the current one.
    """

    authority: FleetAuthority
    issuer: str
    successor: FleetAuthority | None
    holders: Holders
    is_declared: bool
    key_state: str | None
    names: frozenset[str]
    year: int

    @property
    def steps(self) -> list[Step]:
        before = [_successor(self), _devices(self)]
        is_free = all(step.state is StepState.DONE for step in before)
        retire = _retire(self, is_next=is_free)
        setting = _setting(self, is_next=retire.state is StepState.DONE)
        steps = [*before, retire, setting]
        if self.authority.in_kms is not None:
            steps.append(_key(self, is_next=all(step.state is StepState.DONE for step in steps)))
        return steps

    @property
    def has_successor(self) -> bool:
        return self.successor is not None or self.issuer == AMAZON

    @property
    def is_done(self) -> bool:
        return all(step.state is StepState.DONE for step in self.steps)


def _successor(rotation: Rotation) -> Step:
    old = rotation.authority
    if rotation.successor is not None:
        return Step(
            id="successor", state=StepState.DONE, what=f"The CA {rotation.successor.name!r} issues new certificates."
        )
    if rotation.issuer == AMAZON:
        return Step(id="successor", state=StepState.DONE, what="Amazon's CA issues new certificates (issuer: aws).")
    if rotation.issuer == KMS:
        entry = _next_entry(rotation)
        is_full = len(rotation.names) >= _MOST_IN_SETTING
        room = f" The list takes {_MOST_IN_SETTING}: take a retired one out." if is_full else ""
        return Step(
            id="successor",
            state=StepState.NOW,
            what=f"Add another CA after {old.name!r} to certificateAuthorities in cdk.json, and deploy. Every device "
            f"goes on with the certificate that it has.{room}",
            commands=("cdk deploy --all",),
            setting={"certificateAuthorities": [entry]},
        )
    proof = old.mode != "SNI_ONLY"
    wanted = {"certificate": "NEW.crt", **({"verificationCertificate": "VERIFICATION.crt"} if proof else {})}
    return Step(
        id="successor",
        state=StepState.NOW,
        what="Make another CA with your CA's own tools, with another subject or another key, name its files in "
        "cdk.json in the place of the old one's, and deploy. Every device goes on with the certificate that it has; "
        "the old CA stays registered."
        + ("" if proof else " This deployment's CA is registered in SNI_ONLY mode, which takes no verification."),
        commands=(
            *(("zymkey-fleet ca verification-csr",) if proof else ()),
            "zymkey-fleet ca check --ca-cert NEW.crt" + (" --verification-cert VERIFICATION.crt" if proof else ""),
            "cdk deploy --all",
        ),
        setting={"externalCertificateAuthority": wanted},
    )


def _next_entry(rotation: Rotation) -> dict[str, Any]:
    """An entry of ``certificateAuthorities`` under a free name, otherwise as the old CA is."""
    old = rotation.authority
    names = [str(rotation.year), *(f"{rotation.year}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")]
    name = next((each for each in names if each not in rotation.names), "another")
    common_name = next(iter(common_names(old.certificate.subject)), "fleet CA")
    organizations = old.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return {
        "name": name,
        "commonName": common_name.replace(old.name, name),
        "organization": str(organizations[0].value) if organizations else "",
        "validityYears": 20 if old.in_kms is None else old.in_kms.validity_years,
    }


def _devices(rotation: Rotation) -> Step:
    left = rotation.holders
    if not rotation.has_successor:
        counted = f"{_count(left.devices)} now" if left.devices else "none yet"
        return Step(
            id="devices", state=StepState.LATER, what=f"Devices renew, and get certificates of the new CA ({counted})."
        )
    if left.devices == 0:
        return Step(id="devices", state=StepState.DONE, what="No device holds a certificate of it.")
    said = [f"{_count(left.devices)} left."]
    if left.current:
        said.append(
            f"{left.current} in use: renewed by themselves by about {iso(left.last_due)}; the last one ends "
            f"{iso(left.last_ends)}."
        )
        if rotation.successor is not None and rotation.successor.in_kms is None:
            said.append("A renewal waits until you have signed it (`zymkey-fleet pending`).")
    if left.superseded:
        said.append(
            f"{left.superseded} beside a new one: switched off when the new one was seen in use, or after "
            "renewalGraceDays."
        )
    if left.unfinished:
        said.append(f"{left.unfinished} being registered.")
    hasten = f"zymkey-fleet renew --state enrolled --issued-by {shlex.quote(rotation.authority.name)}"
    return Step(
        id="devices",
        state=StepState.NOW,
        what=" ".join(said),
        commands=(hasten,) if left.current else (),
    )


def _retire(rotation: Rotation, *, is_next: bool) -> Step:
    old = rotation.authority
    if old.status is None:
        return Step(id="retire", state=StepState.DONE, what="AWS IoT does not have it any more.")
    if old.status != ACTIVE:
        return Step(
            id="retire", state=StepState.DONE, what="It is INACTIVE: AWS IoT registers no more certificates of it."
        )
    return Step(
        id="retire",
        state=StepState.NOW if is_next else StepState.LATER,
        what="Retire it, so that AWS IoT registers no more certificates of it.",
        commands=(f"zymkey-fleet ca retire {shlex.quote(old.name)}",),
    )


def _setting(rotation: Rotation, *, is_next: bool) -> Step:
    old = rotation.authority
    if not rotation.is_declared:
        return Step(
            id="setting",
            state=StepState.DONE,
            what="No deployed setting has it as a CA in use." + _caution(rotation),
        )
    return Step(
        id="setting",
        state=StepState.NOW if is_next else StepState.LATER,
        what=f'Add "retired": true to {old.place} in cdk.json, and deploy: a deployment without it is refused when it '
        "would make the CA active again.",
        commands=("cdk deploy --all",),
        setting=old.setting,
    )


def _caution(rotation: Rotation) -> str:
    """The API shows only the CAs of the issuer in use."""
    old = rotation.authority
    of_another_issuer = (rotation.issuer == KMS) != (old.in_kms is not None)
    return f' If cdk.json names it, it needs "retired": true at {old.place}.' if of_another_issuer else ""


def _key(rotation: Rotation, *, is_next: bool) -> Step:
    arn = "" if rotation.authority.in_kms is None else rotation.authority.in_kms.key_arn
    if rotation.key_state == "deleted" or (rotation.key_state or "").startswith("Pending"):
        gone = "is deleted" if rotation.key_state == "deleted" else "waits for its deletion, and costs nothing"
        return Step(id="key", state=StepState.DONE, what=f"Its key in KMS {gone}.")
    unknown = (
        " You may not see whether that was done: `aws kms describe-key` shows it to an administrator."
        if rotation.key_state is None
        else ""
    )
    return Step(
        id="key",
        state=StepState.NOW if is_next else StepState.LATER,
        what=f"Have an administrator schedule the deletion of its key in KMS, which costs {_KEY_PRICE} USD a month "
        "until then, and nothing while it waits; `aws kms cancel-key-deletion` takes it back. No device needs the key: "
        f"what it has signed goes on working.{unknown}",
        commands=(f"aws kms schedule-key-deletion --key-id {arn} --pending-window-in-days 30",),
    )


def setting_text(setting: dict[str, Any]) -> str:
    """A setting as it is written into cdk.json, without the braces around it."""
    return ", ".join(f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in setting.items())


def _count(number: int) -> str:
    return f"{number} device{'' if number == 1 else 's'}"
