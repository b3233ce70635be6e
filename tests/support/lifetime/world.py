"""A deployment, its functions, its operator and its devices; and what goes wrong at random."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509

from functions.audit_run import AuditIncomplete, audit
from functions.seen import seen
from functions.superseded import SweepIncomplete, sweep
from ledger import AuditRecord, LedgerError
from pki.fingerprint import certificate_id
from tests.support.answer import Answer
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_functions import ENROLL, FunctionsInProcess, Reply, issued
from tests.support.lifetime.clock import DAY, Clock
from tests.support.lifetime.device import Device
from tests.support.lifetime.watch import Watch
from tests.support.role import AUDIT, SEEN, SWEEP

HOUR = 3_600
# Of a request: an AWS call of it breaks; the reply to the device is lost; so is a confirmation.
BREAKS, LOST = 0.15, 0.1
KINDS = ("refused", "throttled", "lost", "killed", "outage")
# An enrollment makes about a dozen calls.
_LAST_CALL = 13
# A device that meets one fault after another needs more than a day.
_FOR_A_WEEK = ("--expires", "7d")
# Of a function that is called by an event (AWS Lambda Developer Guide, asynchronous invocation).
_TRIES_OF_LAMBDA = 3
GRACE_DAYS, DELETE_AFTER_DAYS = 7, 30


class World:
    """Runs an agenda: what happens at which time.

    Attributes:
        devices: by name, the board that has the name now.
        replaced: boards whose names another board has.
        requests, broken: how many requests devices made, and with how many something went wrong.
    """

    def __init__(
        self, functions: FunctionsInProcess, operator: Callable[..., Answer], clock: Clock, chance: random.Random
    ) -> None:
        self.functions, self.clock, self.chance = functions, clock, chance
        self._operator = operator
        self.devices: dict[str, Device] = {}
        self.replaced: list[Device] = []
        self.requests = self.broken = 0
        self.watch = Watch(self._is_needed)
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._number = count()

    # The agenda

    def at(self, moment: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._number), what))

    def on_day(self, day: float, what: Callable[[], object]) -> None:
        self.at(self.clock.began + day * DAY, what)

    def every(self, days: float, what: Callable[[], object], *, until: float) -> None:
        day = self.clock.day + days
        while day < until:
            self.on_day(day, what)
            day += days

    def run(self, *, until: float) -> None:
        """All that is on the agenda before that day, in order."""
        end = self.clock.began + until * DAY
        while self._agenda and self._agenda[0][0] < end:
            moment, _, what = heapq.heappop(self._agenda)
            self.clock.go_to(moment)
            what()
        self.clock.go_to(end)

    # The operator

    def operator(self, *words: str) -> Any:
        """Run ``zymkey-fleet``, which has to succeed; returns its JSON."""
        answer = self._operator(*words, "--json")
        assert answer.code == 0, f"zymkey-fleet {' '.join(words)}: {answer.out}{answer.err}"
        return json.loads(answer.out)

    def invite(self, name: str) -> None:
        """Let a new board in; it is switched on within a day."""
        self._has_new_board(name, self.operator("invite", name, *_FOR_A_WEEK)["token"])

    def block(self, name: str) -> None:
        if name in self.devices:
            self.devices[name].may_work = False
            self.operator("block", name)

    def unblock(self, name: str) -> None:
        if name not in self.devices:
            return
        self.operator("unblock", name)
        self.devices[name].may_work = True
        self._comes_again(self.devices[name])

    def replace(self, name: str) -> None:
        """Its board is broken: another one takes the name over, and the old one asks all the same, later."""
        old = self.devices[name]
        self.at(self.clock.now + self.chance.random() * 30 * DAY, lambda: self._ask(old))
        old.may_work = False
        self.replaced.append(old)
        self._has_new_board(name, self.operator("replace", name, *_FOR_A_WEEK)["token"])

    def remove(self, name: str) -> None:
        self.block(name)
        self.operator("remove", name)
        self.replaced.append(self.devices.pop(name))

    def renew(self, name: str) -> None:
        """Ask for a renewal, of a device that has a certificate; it learns of it when its timer asks next."""
        device = self.devices.get(name)
        if device is None or not device.may_work or device.in_use is None:
            return
        self.operator("renew", name)
        self._comes_again(self.devices[name], within=DAY)

    def rotate(self, ca: x509.Certificate, key_arn: str) -> None:
        """Another CA in KMS issues from now on, beside the one that did."""
        choices = self.functions.choices
        self.functions.choices = replace(choices, ca_certificates=(*choices.ca_certificates, ca), ca_key_arn=key_arn)

    def retire(self) -> None:
        """The oldest CA is retired, as soon as no device has a certificate of it any more."""
        oldest, *others = self.functions.choices.ca_certificates
        holders = [each.name for each in self.functions.ledger.devices() if each.issued_by == certificate_id(oldest)]
        assert holders == [], f"these have not renewed by day {self.clock.day:.0f}: {holders}"
        self.functions.iot.update_ca_certificate(certificateId=certificate_id(oldest), newStatus="INACTIVE")
        self.functions.choices = replace(self.functions.choices, ca_certificates=tuple(others))

    def _has_new_board(self, name: str, token: str) -> None:
        board = self.devices[name] = Device(name, token)
        self._comes_again(board, within=DAY)

    # A device

    def _comes_again(self, device: Device, *, within: float = 6 * HOUR) -> None:
        self.at(self.clock.now + 60 + self.chance.random() * within, lambda: self.visit(device))

    def visit(self, device: Device) -> None:
        """A run of the device's timer that asks the cloud: a renewal is due, or it asks because it asks once a day."""
        if device.may_work:
            self._check_expiry(device)
        heard = device.candidate is not None or self._ask(device)
        if device.candidate is not None and self._can_publish(device.candidate):
            device.unconfirmed = device.in_use is not None
            device.in_use, device.candidate, device.token = device.candidate, None, None
        if device.unconfirmed and device.may_work and self.chance.random() >= LOST:
            self.confirm(device)
            device.unconfirmed = False
        if not device.may_work:
            return
        if not heard or device.candidate is not None or device.unconfirmed or device.renews_at <= self.clock.now:
            self._comes_again(device)
        else:
            self.at(device.renews_at + self.chance.random() * 6 * HOUR, lambda: self.visit(device))

    def confirm(self, device: Device) -> None:
        """A message of its own reaches the function, which may break as any other; Lambda tries it twice more."""
        event = {"device": device.name, "certificateId": device.in_use_id}
        for _ in range(_TRIES_OF_LAMBDA):
            try:
                seen(event, now=int(self.clock.now), deployment=self.functions.deployment(self._faults(), handler=SEEN))
            except (LedgerError, ClientError, BotoCoreError, Killed):
                self.broken += 1
            else:
                return

    def _ask(self, device: Device) -> bool:
        """Whether the device has got a certificate, be it the one that it has."""
        reply = self._request(device)
        if reply is None or reply.status != 200 or self.chance.random() < LOST:
            self.broken += 1
            return False
        certificate = issued(reply)
        if device.in_use is None or certificate_id(certificate) != device.in_use_id:
            device.candidate = certificate
        return True

    def _request(self, device: Device) -> Reply | None:
        """The cloud's answer; None when the function was killed."""
        self.requests += 1
        faults = self._faults()
        try:
            reply = self.functions.post(ENROLL, device.csr, credentials=device.credentials, faults=faults)
        except Killed:
            return None
        if device.may_work:
            assert reply.status in (200, 202, 429, 503), f"{device.name}: {reply.status} {reply.text}"
        else:
            assert reply.status in (401, 403, 503), f"{device.name}, which may not work: {reply.status} {reply.text}"
        return reply

    def _faults(self) -> Faults:
        breaks = self.chance.random() < BREAKS
        position = self.chance.randrange(_LAST_CALL) if breaks else None
        return Faults(position=position, kind=self.chance.choice(KINDS))

    def _can_publish(self, certificate: Any) -> bool:
        """As AWS IoT judges: active, attached to its thing, permitted."""
        if self.functions.status_of(certificate) != "ACTIVE":
            return False
        identifier = certificate_id(certificate)
        return not self.functions.is_powerless(identifier)

    # The functions that run by themselves

    def sweep(self, *, breaks: bool = True) -> None:
        faults = self._faults() if breaks else None
        try:
            sweep(
                grace_days=GRACE_DAYS,
                now=int(self.clock.now),
                deployment=self.functions.deployment(faults, handler=SWEEP),
            )
        except (SweepIncomplete, ClientError, BotoCoreError, Killed):
            self.broken += 1

    def audit(self, *, breaks: bool = True) -> AuditRecord | None:
        """The daily audit, which also deletes what has been out of use for long; None when it broke off."""
        faults = self._faults() if breaks else None
        try:
            return audit(
                grace_days=GRACE_DAYS,
                delete_after_days=DELETE_AFTER_DAYS,
                now=int(self.clock.now),
                deployment=self.functions.deployment(faults, handler=AUDIT),
            )
        except (AuditIncomplete, LedgerError, ClientError, BotoCoreError, Killed):
            self.broken += 1
            return None

    def repair(self) -> None:
        """What an operator does about what the audit has found: what Amazon has made and nobody has heard of goes."""
        answer = self._operator("audit", "--fix", "--json")
        assert all(each["fixed"] for each in json.loads(answer.out)), answer.out

    # What has to hold

    def wind_down(self) -> None:
        """Let the last renewals be seen and superseded, what they left be switched off, and that be deleted."""
        for _ in range(3):
            self.run(until=self.clock.day + DELETE_AFTER_DAYS + 1)
            self.sweep(breaks=False)
            self.audit(breaks=False)
        self.repair()

    def check_that_nothing_is_left(self) -> None:
        """The ledger and AWS IoT agree, and AWS IoT has the devices' certificates and things, and none besides."""
        record = self.audit(breaks=False)
        assert record is not None
        assert record.counts == {}, record
        iot, boards = self.functions.iot, [*self.devices.values(), *self.replaced]
        registered = {
            each["certificateId"]
            for page in iot.get_paginator("list_certificates").paginate()
            for each in page["certificates"]
        }
        things = {each["thingName"] for page in iot.get_paginator("list_things").paginate() for each in page["things"]}
        for name in {each.name for each in boards}:
            of_name = {each.certificate_id: each for each in self.functions.ledger.certificates(name)}
            board = self.devices.get(name)
            current = set() if board is None or board.in_use_id is None else {board.in_use_id}
            lately = self.clock.now - (DELETE_AFTER_DAYS + 1) * DAY
            kept = {identifier for identifier, each in of_name.items() if each.updated_at > lately}
            assert current <= registered & of_name.keys() <= current | kept, name
            assert (name in things) == bool(current), name

    def _is_needed(self, what: str) -> bool:
        return what in self._needed()

    def _needed(self) -> Iterator[str]:
        for device in self.devices.values():
            if device.may_work and device.in_use is not None:
                yield device.name
                yield certificate_id(device.in_use)
                if device.candidate is not None:
                    yield certificate_id(device.candidate)

    def _check_expiry(self, device: Device) -> None:
        if device.in_use is not None:
            left = device.in_use.not_valid_after_utc - self.clock.moment
            assert left.total_seconds() > 0, f"the certificate of {device.name} has expired on day {self.clock.day:.1f}"

    def check(self) -> None:
        """Every device that should work does, and none that should not."""
        assert self.watch.problems == [], self.watch.problems
        for device in self.devices.values():
            if device.may_work and device.in_use is not None:
                self._check_expiry(device)
                assert self._can_publish(device.in_use), f"{device.name} cannot publish on day {self.clock.day:.1f}"
        for device in self.replaced + [each for each in self.devices.values() if not each.may_work]:
            for each in (device.in_use, device.candidate):
                assert each is None or self.functions.status_of(each) in (None, "INACTIVE"), device.name
