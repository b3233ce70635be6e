"""After a renewal, the old certificate has its time of grace, and then it is switched off."""

import io
import json
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from functions.log import log
from functions.superseded import DAY, SweepIncomplete, sweep
from ledger import CertificateState, Device, State
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import issued
from tests.support.ledger import certificate
from tests.support.role import SWEEP

GRACE_DAYS = 7
EIGHT_MONTHS = 245 * DAY  # past two thirds of a year


@pytest.fixture
def renewed(fleet):
    """A device that has just renewed: its name, the old certificate and the new one."""
    candidate = fleet.invite(Candidate())
    old = issued(fleet.enroll(candidate))
    new = issued(fleet.enroll(candidate, later=EIGHT_MONTHS))
    return candidate.name, certificate_id(old), certificate_id(new)


def swept(fleet, days_later: float, faults: Faults | None = None) -> list[str]:
    now = int(time.time()) + EIGHT_MONTHS + int(days_later * DAY)
    return sweep(grace_days=GRACE_DAYS, now=now, deployment=fleet.deployment(faults, handler=SWEEP))


def test_within_its_grace_the_old_certificate_still_works(fleet, renewed):
    name, old, new = renewed
    assert old not in swept(fleet, GRACE_DAYS - 0.5)
    assert fleet.certificates_of(name) == {old: "ACTIVE", new: "ACTIVE"}


def test_after_its_grace_it_is_switched_off_once_and_the_new_one_stays(fleet, renewed):
    name, old, new = renewed
    assert old in swept(fleet, GRACE_DAYS + 0.5)
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert {each.certificate_id: each.state for each in fleet.ledger.certificates(name)} == {
        old: "deactivated",
        new: "active",
    }
    assert fleet.ledger.device(name).superseded is None
    assert old not in swept(fleet, GRACE_DAYS + 1)


@pytest.mark.parametrize("kind", ["refused", "lost"])
@pytest.mark.parametrize("operation", ["UpdateCertificate", "TransactWriteItems"])
def test_a_sweep_that_breaks_is_made_good_by_the_next(fleet, renewed, operation, kind):
    name, old, new = renewed
    swept(fleet, GRACE_DAYS - 0.5)
    faults = Faults(operation=operation, kind=kind)
    with pytest.raises(SweepIncomplete, match="of 1 devices"):
        swept(fleet, GRACE_DAYS + 0.5, faults)
    assert faults.fired
    swept(fleet, GRACE_DAYS + 0.5)
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert fleet.ledger.device(name).superseded is None


def test_a_certificate_that_somebody_has_deleted_does_not_stop_the_sweep(fleet, renewed):
    name, old, new = renewed
    arn = fleet.iot.describe_certificate(certificateId=old)["certificateDescription"]["certificateArn"]
    fleet.iot.detach_thing_principal(thingName=name, principal=arn)
    fleet.iot.update_certificate(certificateId=old, newStatus="INACTIVE")
    fleet.iot.delete_certificate(certificateId=old, forceDelete=True)
    assert swept(fleet, GRACE_DAYS + 0.5) == [old]
    assert fleet.certificates_of(name) == {new: "ACTIVE"}
    assert fleet.ledger.device(name).superseded is None


def test_one_certificate_that_fails_does_not_keep_the_others_in_use(fleet, renewed, monkeypatch):
    """The poison comes first: its device sorts before the other, and fails each time."""
    name, old, new = renewed
    deployment = fleet.deployment(handler=SWEEP)
    poison = replace(fleet.ledger.device(name), name="-", superseded="0" * 64, superseded_at=1)
    devices = [poison, *fleet.ledger.devices()]
    monkeypatch.setattr(deployment.ledger, "devices", lambda which: iter(devices if which.superseded_by else ()))
    with pytest.raises(SweepIncomplete):
        sweep(grace_days=0, now=int(time.time()) + 365 * 86_400, deployment=deployment)
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}


def test_what_the_time_does_not_suffice_for_is_told_and_the_next_run_goes_on(fleet, renewed, monkeypatch):
    name, old, new = renewed
    stream = io.StringIO()
    monkeypatch.setattr(log, "stream", stream)
    now = int(time.time()) + EIGHT_MONTHS + 8 * DAY
    options = {"grace_days": GRACE_DAYS, "now": now, "deployment": fleet.deployment(handler=SWEEP)}
    assert sweep(**options, remaining=lambda: 50.0) == []
    assert fleet.certificates_of(name) == {old: "ACTIVE", new: "ACTIVE"}
    (line,) = (each for each in map(json.loads, stream.getvalue().splitlines()) if "left_at_least" in each)
    assert (line["done"], line["left_at_least"]) == (0, 1)
    assert sweep(**options) == [old]


def test_a_sweep_that_another_one_overtakes_has_nothing_to_complain_of(fleet, renewed):
    name, old, new = renewed
    overtaken = Faults(
        operation="TransactWriteItems", kind="meanwhile", meanwhile=lambda: swept(fleet, GRACE_DAYS + 0.5)
    )
    assert swept(fleet, GRACE_DAYS + 0.5, overtaken) == [old]
    assert overtaken.fired
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert fleet.ledger.device(name).superseded is None
    assert [each.what for each in fleet.ledger.history(name)].count("certificate deactivated") == 1


def test_many_are_switched_off_within_the_quota_of_aws_iot(monkeypatch):
    """Without a cloud: the pace is kept whatever the calls take, and each device's certificates are read once."""
    slept, called = [], Counter()
    monkeypatch.setattr("functions.superseded.time", Clock(slept))

    class Iot:
        def update_certificate(self, **_):
            called["UpdateCertificate"] += 1

    class Devices:
        def devices(self, which):
            called["devices"] += 1
            return (
                Device(name=f"pi-{number}", state=State.ENROLLED, updated_at=1, superseded=f"{number:064x}")
                for number in range(1000 if which.superseded_by else 0)
            )

        def certificates(self, name):
            called["certificates"] += 1
            superseded = certificate(int(name.removeprefix("pi-")), device=name)
            return [replace(superseded, state=CertificateState.SUPERSEDED)]

        def with_beginning(self, devices):
            return ((each, None) for each in devices)

        def deactivated(self, *_, **__):
            called["deactivated"] += 1

    deployment = SimpleNamespace(iot=Iot(), ledger=Devices())
    deployment.iot.exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)
    assert len(sweep(grace_days=7, now=int(time.time()), deployment=deployment)) == 1000
    assert called == {"devices": 2, "certificates": 1000, "UpdateCertificate": 1000, "deactivated": 1000}
    assert sum(slept) >= 1000 / 10


class Clock:
    """One that nobody has to wait for."""

    def __init__(self, slept):
        self._now, self._slept = 0.0, slept

    def monotonic(self):
        return self._now

    def sleep(self, seconds):
        self._slept.append(seconds)
        self._now += seconds
