"""Devices, faults, operators and queues in random order: in the end each device has one certificate that works."""

import random
import time

import pytest

from ledger import LedgerError, Turns
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import issued

STEPS = 45
KINDS = [None, "refused", "lost", "killed", "throttled", "outage", "meanwhile"]


class Story:
    """One random sequence of what devices ask, what breaks meanwhile, and what an operator does.

    Attributes:
        later: seconds that have passed since the beginning.
    """

    def __init__(self, fleet, chance):
        self._fleet, self._chance, self._began = fleet, chance, int(time.time())
        self.later = 0
        self.blocked = set()
        self.candidates = [chance.choice([self._invite, fleet.allow])(Candidate()) for _ in range(4)]

    def _invite(self, candidate):
        return self._fleet.invite(candidate, lasts=10**7)

    @property
    def now(self):
        return self._began + self.later

    def step(self):
        self.later += self._chance.choice([0, 0, 0, 1, 5, 30, 700])
        candidate = self._chance.choice(self.candidates)
        (action,) = self._chance.choices(
            [self._ask, self._block, self._unblock, self._renew, self._fill], weights=[68, 8, 12, 6, 6]
        )
        action(candidate)

    def _ask(self, candidate):
        kind = self._chance.choice(KINDS)
        again = lambda: self._fleet.enroll(candidate, later=self.later)  # noqa: E731
        faults = Faults(position=self._chance.randrange(13) if kind else None, kind=kind or "", meanwhile=again)
        try:
            reply = self._fleet.enroll(candidate, faults, later=self.later)
        except Killed:
            return
        allowed = {200, 202, *([403] if candidate.name in self.blocked else ())}
        assert reply.status in allowed | ({503} if faults.fired and kind != "meanwhile" else set()), reply.text

    def _block(self, candidate):
        self._operate(self._fleet.ledger.block, candidate)
        self.blocked.add(candidate.name)

    def _unblock(self, candidate):
        self._operate(self._fleet.ledger.unblock, candidate)
        self.blocked.discard(candidate.name)

    def _renew(self, candidate):
        self._operate(self._fleet.ledger.ask_for_renewal, candidate)

    def _fill(self, _):
        until = self.now + self._chance.choice([5, 600])
        self._fleet.ledger.take_turn(Turns(per_second=10), now=until * 1_000)

    def _operate(self, change, candidate):
        try:
            change(candidate.name, by="test", now=self.now)
        except LedgerError:
            return  # it is so already, or cannot be

    def settle(self, candidate):
        """What the device gets when nothing breaks any more, and it comes whenever it is told to."""
        self._unblock(candidate)
        for _ in range(9):
            reply = self._fleet.enroll(candidate, later=self.later)
            if reply.status != 202:
                return issued(reply)
            self.later += reply.retry_after
        return pytest.fail("it is sent away again and again")


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))])
@pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)
def test_in_the_end_each_device_has_one_certificate_that_works(deploy, issuer, seed):
    chance = random.Random(f"{issuer} {seed}")  # noqa: S311
    fleet = deploy(issuer, registrations_per_second=chance.choice([1, 10, 1000]))
    story = Story(fleet, chance)
    for _ in range(STEPS):
        story.step()
    for candidate in story.candidates:
        current = certificate_id(story.settle(candidate))
        device = fleet.ledger.device(candidate.name)
        assert (device.state, device.certificate_id, device.unfinished) == ("enrolled", current, None)
        states = {each.certificate_id: each.state for each in fleet.ledger.certificates(candidate.name)}
        assert [identifier for identifier, state in states.items() if state == "active"] == [current]
        attached = fleet.certificates_of(candidate.name)
        assert attached[current] == "ACTIVE"
        assert attached.keys() <= states.keys(), "AWS IoT lets nothing in that the ledger does not know"
        assert fleet.policies_of(current) == [fleet.iot_policy]
