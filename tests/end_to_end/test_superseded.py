"""After a renewal, the old certificate has its time of grace, and then it is switched off."""

import time

import pytest

from functions.superseded import DAY, sweep
from pki.fingerprint import certificate_id
from tests.support.cloud.enrollment import Candidate, Cloud, issued_by_function
from tests.support.cloud.faults import Faults
from tests.support.cloud.function import choices_of, connect, enroll

GRACE_DAYS = 7
EIGHT_MONTHS = 245 * DAY  # past two thirds of a year


@pytest.fixture
def cloud(sandbox):
    return Cloud(sandbox)


@pytest.fixture
def renewed(sandbox, cloud):
    """A device that has just renewed: its name, the old certificate and the new one."""
    deployment = connect(sandbox, choices_of(sandbox))
    candidate = cloud.invite(Candidate())
    old = issued_by_function(enroll(candidate, deployment))
    new = issued_by_function(enroll(candidate, deployment, later=EIGHT_MONTHS))
    return candidate.name, certificate_id(old), certificate_id(new)


def swept(sandbox, days_later: float, faults: Faults | None = None) -> list[str]:
    now = int(time.time()) + EIGHT_MONTHS + int(days_later * DAY)
    return sweep(grace_days=GRACE_DAYS, now=now, deployment=connect(sandbox, choices_of(sandbox), faults))


def test_within_its_grace_the_old_certificate_still_works(sandbox, cloud, renewed):
    name, old, new = renewed
    assert old not in swept(sandbox, GRACE_DAYS - 0.5)
    assert cloud.certificates_of(name) == {old: "ACTIVE", new: "ACTIVE"}


def test_after_its_grace_it_is_switched_off_once_and_the_new_one_stays(sandbox, cloud, renewed):
    name, old, new = renewed
    assert old in swept(sandbox, GRACE_DAYS + 0.5)
    assert cloud.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert {each.certificate_id: each.state for each in cloud.ledger.certificates(name)} == {
        old: "deactivated",
        new: "active",
    }
    assert cloud.ledger.device(name).superseded is None
    assert old not in swept(sandbox, GRACE_DAYS + 1)


@pytest.mark.parametrize("kind", ["refused", "lost"])
@pytest.mark.parametrize("operation", ["UpdateCertificate", "TransactWriteItems"])
def test_a_sweep_that_breaks_is_made_good_by_the_next(sandbox, cloud, renewed, operation, kind):
    name, old, new = renewed
    swept(sandbox, GRACE_DAYS - 0.5)
    faults = Faults(operation=operation, kind=kind)
    with pytest.raises(Exception, match=r"broken on purpose|Connection was closed"):
        swept(sandbox, GRACE_DAYS + 0.5, faults)
    assert faults.fired
    swept(sandbox, GRACE_DAYS + 0.5)
    assert cloud.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    assert cloud.ledger.device(name).superseded is None
