"""The old certificate is switched off when the new one was seen in use: then, never before, and never another one."""

import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from functions.seen import seen
from functions.superseded import DAY, sweep
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, new_name
from tests.support.aws_functions import issued
from tests.support.role import SEEN, SWEEP

EIGHT_MONTHS = 245 * DAY  # past two thirds of a year

pytestmark = pytest.mark.parametrize("issuer", ["kms"], indirect=True)


def renewed(fleet, candidate=None):
    """A device that has just renewed: its name, the old certificate's id and the new one's."""
    candidate = candidate or fleet.invite(Candidate())
    old = issued(fleet.enroll(candidate))
    new = issued(fleet.enroll(candidate, later=EIGHT_MONTHS))
    return candidate.name, certificate_id(old), certificate_id(new)


def event_reaches(fleet, device, certificate, faults=None):
    return seen(
        {"device": device, "certificateId": certificate},
        now=int(time.time()) + EIGHT_MONTHS,
        deployment=fleet.deployment(faults, handler=SEEN),
    )


def test_when_the_new_one_is_seen_the_old_one_is_off_at_once_and_the_history_says_why(fleet):
    name, old, new = renewed(fleet)
    assert fleet.certificates_of(name) == {old: "ACTIVE", new: "ACTIVE"}
    assert event_reaches(fleet, name, new) == "switched off: 1"
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert fleet.ledger.device(name).superseded is None
    last = fleet.ledger.history(name)[-1]
    assert (last.what, last.by, last.detail) == ("certificate deactivated", "seen", old)


def test_again_it_costs_one_read(fleet):
    name, _, new = renewed(fleet)
    event_reaches(fleet, name, new)
    calls = Faults()
    assert event_reaches(fleet, name, new, calls) == "known"
    assert calls.calls == ["GetItem"]


@pytest.mark.parametrize(
    ("device", "certificate"),
    [
        ("{name}", "{old}"),
        ("{name}", "0" * 64),
        ("another", "{new}"),
        ("no name", "{new}"),
        (None, "{new}"),
        ("{name}", None),
        ("{name}", "{new} "),
    ],
)
def test_what_is_no_proof_of_this_device_s_current_certificate_switches_nothing_off(fleet, device, certificate):
    name, old, new = renewed(fleet)
    filled = [each and each.format(name=name, old=old, new=new) for each in (device, certificate)]
    assert "switched off" not in event_reaches(fleet, *filled)
    assert fleet.certificates_of(name) == {old: "ACTIVE", new: "ACTIVE"}


def test_a_first_certificate_has_nothing_before_it(fleet):
    candidate = fleet.invite(Candidate())
    first = certificate_id(issued(fleet.enroll(candidate)))
    assert event_reaches(fleet, candidate.name, first) == "known"
    assert fleet.certificates_of(candidate.name) == {first: "ACTIVE"}


@pytest.mark.parametrize("kind", ["refused", "lost", "throttled", "killed"])
@pytest.mark.parametrize("position", range(1, 6))
def test_whatever_breaks_lambda_s_next_try_finishes_it(fleet, position, kind):
    name, old, new = renewed(fleet)
    broken = Faults(position=position, kind=kind)
    try:
        event_reaches(fleet, name, new, broken)
    except (ClientError, BotoCoreError, Killed):
        assert broken.fired
        event_reaches(fleet, name, new)
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert fleet.ledger.device(name).superseded is None


def renewed_twice(fleet):
    """A device that was asked to renew again before its last renewal was seen: it may use any of the three."""
    candidate = fleet.invite(Candidate())
    name, oldest, old = renewed(fleet, candidate)
    fleet.ledger.ask_for_renewal(name, by="test", now=int(time.time()) + EIGHT_MONTHS)
    new = certificate_id(issued(fleet.enroll(candidate, later=EIGHT_MONTHS + DAY)))
    assert fleet.certificates_of(name) == {oldest: "ACTIVE", old: "ACTIVE", new: "ACTIVE"}
    return name, oldest, old, new


@pytest.mark.parametrize("broken_at", [None, *range(1, 8)])
def test_of_two_renewals_in_a_row_both_old_certificates_go_whatever_breaks(fleet, broken_at):
    name, oldest, old, new = renewed_twice(fleet)
    faults = Faults(position=broken_at)
    try:
        event_reaches(fleet, name, new, faults)
    except (ClientError, BotoCoreError):
        assert faults.fired
        event_reaches(fleet, name, new)
    assert fleet.certificates_of(name) == {oldest: "INACTIVE", old: "INACTIVE", new: "ACTIVE"}


def test_the_sweep_takes_all_of_them_each_when_its_own_grace_is_over(fleet):
    name, oldest, old, new = renewed_twice(fleet)

    def swept(days):
        now = int(time.time()) + EIGHT_MONTHS + int(days * DAY)
        return sweep(grace_days=7, now=now, deployment=fleet.deployment(handler=SWEEP))

    assert set(swept(7.5)) & {oldest, old, new} == set()  # the newer one is the device's, and a day younger
    assert set(swept(8.5)) & {oldest, old, new} == {oldest, old}
    assert fleet.certificates_of(name) == {oldest: "INACTIVE", old: "INACTIVE", new: "ACTIVE"}


def test_another_renewal_in_between_leaves_what_its_device_may_use(fleet):
    """The event of the first renewal arrives late: it is no proof of the second one's certificate."""
    name, oldest, old, new = renewed_twice(fleet)
    assert event_reaches(fleet, name, old) == "not its device's current certificate"
    assert fleet.certificates_of(name) == {oldest: "ACTIVE", old: "ACTIVE", new: "ACTIVE"}


def test_a_client_that_is_no_device_of_the_fleet_costs_one_read(fleet):
    calls = Faults()
    event_reaches(fleet, new_name(), "0" * 64, calls)
    assert calls.calls == ["GetItem"]
