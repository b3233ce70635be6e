"""The audit as it runs every day in AWS: what it keeps, what it deletes, and what it says when it cannot finish."""

import io
import json
import time

import pytest

from audit.examination import Examination
from audit.judgement import DAY, Kind
from functions import deletion
from functions.audit_run import AuditIncomplete
from functions.log import log
from functions.superseded import sweep
from ledger import CertificateState
from pki.fingerprint import certificate_id
from tests.support.audited import GRACE_DAYS, audited, deploy_alone, findings
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import issued
from tests.support.role import SWEEP

EIGHT_MONTHS = 245 * DAY
# When the old certificate of a device that has renewed after eight months is switched off.
SWITCHED_OFF = EIGHT_MONTHS + GRACE_DAYS * DAY


@pytest.fixture(autouse=True)
def no_pace(monkeypatch):
    monkeypatch.setattr(deletion, "_SECONDS_EACH", 0.0)


@pytest.fixture
def fleet(deploy, aws):
    return deploy_alone(deploy, aws)


@pytest.fixture
def renewed(fleet):
    """A device that renewed, and whose old certificate was switched off after its grace: its name, old and new."""
    candidate = fleet.invite(Candidate())
    old = issued(fleet.enroll(candidate))
    new = issued(fleet.enroll(candidate, later=EIGHT_MONTHS))
    now = int(time.time()) + SWITCHED_OFF
    sweep(grace_days=GRACE_DAYS, now=now, deployment=fleet.deployment(handler=SWEEP), reports=False)
    return candidate.name, certificate_id(old), certificate_id(new)


def test_a_certificate_out_of_use_for_a_month_is_gone_and_the_ledger_keeps_it(fleet, renewed):
    name, old, new = renewed
    assert audited(fleet, SWITCHED_OFF + 29 * DAY).deleted == 0
    assert fleet.certificates_of(name) == {old: "INACTIVE", new: "ACTIVE"}
    record = audited(fleet, SWITCHED_OFF + 31 * DAY)
    assert (record.complete, record.deleted, record.left_to_delete, record.counts) == (True, 1, 0, {})
    assert fleet.certificates_of(name) == {new: "ACTIVE"}
    with pytest.raises(fleet.iot.exceptions.ResourceNotFoundException):
        fleet.iot.describe_certificate(certificateId=old)
    kept = fleet.ledger.certificate(name, old)
    assert (kept.state, bool(kept.deleted_at), kept.pem[:10]) == ("deactivated", True, "-----BEGIN")
    assert fleet.ledger.history(name)[-1].what == "certificate deleted"
    assert audited(fleet, SWITCHED_OFF + 32 * DAY).deleted == 0


def test_the_certificate_of_a_blocked_device_stays_since_it_can_be_unblocked(fleet):
    candidate = fleet.invite(Candidate())
    current = certificate_id(issued(fleet.enroll(candidate)))
    fleet.ledger.block(candidate.name, by="alice", now=int(time.time()))
    fleet.iot.update_certificate(certificateId=current, newStatus="INACTIVE")
    fleet.ledger.deactivated(candidate.name, current, by="alice", now=int(time.time()))
    record = audited(fleet, 3650 * DAY)
    assert (record.deleted, record.counts) == (0, {})
    assert fleet.certificates_of(candidate.name) == {current: "INACTIVE"}


@pytest.mark.parametrize("kind", ["refused", "lost"])
@pytest.mark.parametrize(
    "operation", ["DescribeCertificate", "DetachThingPrincipal", "DetachPolicy", "DeleteCertificate"]
)
def test_a_deletion_that_breaks_is_told_and_finished_by_the_next_run(fleet, renewed, operation, kind):
    name, old, new = renewed
    with pytest.raises(AuditIncomplete, match="1 certificates could not be deleted"):
        audited(fleet, SWITCHED_OFF + 31 * DAY, Faults(operation=operation, kind=kind))
    assert fleet.ledger.last_audit().left_to_delete == 1
    assert fleet.certificates_of(name)[new] == "ACTIVE"
    assert audited(fleet, SWITCHED_OFF + 32 * DAY).deleted == 1
    assert fleet.certificates_of(name) == {new: "ACTIVE"}
    assert fleet.ledger.certificate(name, old).deleted_at


def test_one_that_is_active_although_the_ledger_says_it_is_off_is_a_finding_and_keeps_its_thing(fleet, renewed):
    name, old, _ = renewed
    fleet.iot.update_certificate(certificateId=old, newStatus="ACTIVE")
    record = audited(fleet, SWITCHED_OFF + 31 * DAY)
    assert (record.counts, record.deleted) == ({Kind.SHOULD_BE_OFF: 1}, 0)
    assert findings(fleet) == [("should-be-off", name, "")]
    assert old in fleet.certificates_of(name)


def test_one_that_becomes_active_during_the_run_keeps_its_thing(fleet, renewed):
    name, old, _ = renewed
    meanwhile = Faults(
        operation="Scan",
        kind="meanwhile",
        meanwhile=lambda: fleet.iot.update_certificate(certificateId=old, newStatus="ACTIVE"),
    )
    with pytest.raises(AuditIncomplete):
        audited(fleet, SWITCHED_OFF + 31 * DAY, meanwhile)
    assert old in fleet.certificates_of(name)


def test_one_that_should_be_gone_for_a_week_is_a_finding(fleet, renewed):
    name, _, _ = renewed
    record = audited(fleet, SWITCHED_OFF + 38 * DAY)
    assert findings(fleet) == [("should-be-gone", name, "")], "and it has deleted it now"
    assert record.deleted == 1
    assert audited(fleet, SWITCHED_OFF + 39 * DAY).counts == {}


def test_what_aws_iot_has_again_is_deleted_again(fleet, renewed):
    """A device of an external CA that presents its old certificate has it registered once more."""
    name, old, _ = renewed
    audited(fleet, SWITCHED_OFF + 31 * DAY)
    pem = fleet.ledger.certificate(name, old).pem
    fleet.iot.register_certificate_without_ca(certificatePem=pem, status="INACTIVE")
    assert audited(fleet, SWITCHED_OFF + 32 * DAY).deleted == 1
    with pytest.raises(fleet.iot.exceptions.ResourceNotFoundException):
        fleet.iot.describe_certificate(certificateId=old)


def test_a_run_without_time_keeps_what_it_has_and_says_so_in_record_metric_and_error(fleet, renewed, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(log, "stream", stream)
    with pytest.raises(AuditIncomplete, match="the time of the function was up"):
        audited(fleet, SWITCHED_OFF + 31 * DAY, remaining=lambda: 50.0)
    record = fleet.ledger.last_audit()
    assert (record.complete, record.why) == (False, "the time of the function was up before everything was looked at")
    (line,) = (each for each in map(json.loads, stream.getvalue().splitlines()) if "AuditFindings" in each)
    assert (line["level"], line["AuditFindings"]) == ("ERROR", 0)


def test_a_run_whose_time_is_up_while_it_deletes_leaves_the_rest_to_the_next(fleet, renewed):
    survey = Examination.findings
    time_is_up = []

    def looked(self):
        yield from survey(self)
        time_is_up.append(True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Examination, "findings", looked)
        record = audited(fleet, SWITCHED_OFF + 31 * DAY, remaining=lambda: 50.0 if time_is_up else 900.0)
    assert (record.complete, record.deleted, record.left_to_delete) == (True, 0, 1)


def test_an_aws_call_that_fails_is_in_the_record_with_aws_s_own_words(fleet, renewed):
    with pytest.raises(AuditIncomplete, match="ListCertificates"):
        audited(fleet, faults=Faults(operation="ListCertificates"))
    assert "ListCertificates" in fleet.ledger.last_audit().why


def test_nobody_reads_half_a_run(fleet, renewed):
    name, _, new = renewed
    fleet.iot.update_certificate(certificateId=new, newStatus="INACTIVE")
    audited(fleet)
    before = fleet.ledger.last_audit()
    with pytest.raises(fleet.iot.exceptions.ClientError):
        audited(fleet, 60, Faults(operation="TransactWriteItems"))
    assert fleet.ledger.last_audit() == before
    assert findings(fleet) == [("switched-off", name, "")]


def test_a_race_with_an_enrollment_is_no_finding(fleet):
    candidate = fleet.invite(Candidate())
    meanwhile = Faults(operation="Scan", kind="meanwhile", meanwhile=lambda: issued(fleet.enroll(candidate)))
    assert audited(fleet, faults=meanwhile).counts == {}
    assert meanwhile.fired


def test_a_certificate_that_was_recorded_and_never_finished_is_not_deleted(fleet):
    candidate = fleet.invite(Candidate())
    fleet.enroll(candidate, Faults(operation="RegisterCertificate"))
    (recorded,) = fleet.ledger.certificates(candidate.name)
    assert recorded.state is CertificateState.RECORDED
    assert audited(fleet, 365 * DAY).deleted == 0
    issued(fleet.enroll(candidate))
