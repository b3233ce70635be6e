"""What an audit finds, what it repairs, and what it never touches."""

import json
import time
from dataclasses import replace

import pytest

from audit import iot
from audit.judgement import DAY, MEANINGS, MIN_AGE_SECONDS, Kind, Registered, judge, may_be_unfinished
from audit.policy import digest_of
from fleet.errors import NoCredentials
from fleet.progress import Progress
from ledger import THING_MARK, Certificate, CertificateState, State
from pki.issuers import KMS
from tests.support.fleet.authority import csr, fingerprint, new_key
from tests.support.fleet.deployment import NO_PERMISSIONS, deploy, enroll, renew, status

NOW = 1_800_000_000
CERTIFICATE = Certificate(
    device="pi-1",
    certificate_id="c" * 64,
    pem="PEM",
    fingerprint="SHA256:" + "a" * 43,
    serial="1",
    not_before=NOW,
    not_after=NOW + 1000,
    issued_by="aws",
    state=CertificateState.ACTIVE,
    updated_at=NOW,
)
POWERLESS = Registered(certificate_id="c" * 64, arn="arn:cert", is_active=True, created_at=NOW, is_permitted=False)
PERMITTED = replace(POWERLESS, is_permitted=True)
INACTIVE = replace(PERMITTED, is_active=False)


@pytest.mark.parametrize(
    ("state", "of_device", "registered", "kind"),
    [
        ("active", "enrolled", PERMITTED, None),
        ("active", "enrolled", POWERLESS, Kind.NOT_PERMITTED),
        ("active", "enrolled", INACTIVE, Kind.SWITCHED_OFF),
        ("active", "enrolled", None, Kind.MISSING),
        ("active", "blocked", PERMITTED, Kind.SHOULD_BE_OFF),
        ("active", "blocked", INACTIVE, Kind.SWITCHED_OFF),
        ("active", None, PERMITTED, Kind.SHOULD_BE_OFF),
        ("recorded", "enrolled", POWERLESS, None),
        ("recorded", "enrolled", None, None),
        ("recorded", "blocked", POWERLESS, Kind.SHOULD_BE_OFF),
        ("superseded", "enrolled", PERMITTED, None),
        ("superseded", "enrolled", INACTIVE, None),
        ("deactivated", "enrolled", PERMITTED, Kind.SHOULD_BE_OFF),
        ("deactivated", "enrolled", INACTIVE, None),
        ("deactivated", "blocked", None, None),
        ("deactivated", None, INACTIVE, None),
        ("abandoned", "enrolled", POWERLESS, Kind.SHOULD_BE_OFF),
        ("abandoned", "enrolled", None, None),
    ],
)
def test_each_combination_of_ledger_and_aws_iot_is_judged(state, of_device, registered, kind):
    certificate = replace(CERTIFICATE, state=CertificateState(state))
    device = of_device and State(of_device)
    assert judge(certificate, of_device=device, registered=registered, grace_seconds=100, now=NOW) is kind


@pytest.mark.parametrize(("age", "kind"), [(99, None), (100, Kind.SUPERSEDED)])
def test_a_superseded_certificate_is_a_finding_when_its_grace_is_over(age, kind):
    certificate = replace(CERTIFICATE, state=CertificateState.SUPERSEDED)
    found = judge(certificate, of_device=State.ENROLLED, registered=PERMITTED, grace_seconds=100, now=NOW + age)
    assert found is kind


@pytest.mark.parametrize(("age", "expected"), [(MIN_AGE_SECONDS - 1, False), (MIN_AGE_SECONDS, True)])
def test_a_certificate_that_was_made_just_now_is_no_finding(age, expected):
    assert may_be_unfinished(POWERLESS, now=NOW + age) is expected


def audit(run, *words):
    answer = run("audit", "--json", *words)
    return answer.code, [(each["kind"], each["device"], each["certificateId"], each["fixed"]) for each in answer.json]


def test_a_fleet_in_order_has_no_findings(run, cloud):
    key = new_key()
    enroll(cloud, "pi-1", key)
    renew(cloud, "pi-1", key)
    enroll(cloud, "pi-2")
    run("block", "pi-2")
    run("invite", "pi-3")
    assert audit(run) == (0, [])
    assert run("audit").out == "The ledger and AWS IoT agree.\n"


def test_foreign_certificates_are_never_touched(run, cloud, monkeypatch):
    monkeypatch.setattr("audit.judgement.MIN_AGE_SECONDS", 0)
    foreign = cloud.iot.create_certificate_from_csr(certificateSigningRequest=csr(new_key()), setAsActive=True)
    enroll(cloud, "pi-1")
    assert audit(run, "--fix") == (0, [])
    assert cloud.iot.describe_certificate(certificateId=foreign["certificateId"])["certificateDescription"]["status"]


@pytest.mark.parametrize("words", [[], ["--fix"]])
def test_a_certificate_that_somebody_switched_off_is_reported_and_recorded(run, cloud, words):
    certificate = enroll(cloud)
    cloud.iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
    assert audit(run, *words) == (
        0 if words else 1,
        [("switched-off", "pi-1", certificate.certificate_id, bool(words))],
    )
    assert cloud.ledger.certificates("pi-1")[0].state == ("deactivated" if words else "active")
    assert audit(run)[0] == (0 if words else 1)


def test_after_that_unblock_switches_it_on_again(run, cloud):
    certificate = enroll(cloud)
    cloud.iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
    run("audit", "--fix")
    run("unblock", "pi-1")
    assert status(cloud, certificate) == "ACTIVE"
    assert audit(run) == (0, [])


def test_a_certificate_that_is_missing_in_aws_iot(run, cloud):
    certificate = enroll(cloud, registered=False)
    assert audit(run) == (1, [("missing", "pi-1", certificate.certificate_id, False)])
    assert audit(run, "--fix") == (0, [("missing", "pi-1", certificate.certificate_id, True)])
    assert audit(run) == (0, [])


def test_a_certificate_without_the_policy_takes_a_person(run, cloud):
    certificate = enroll(cloud, permitted=False)
    expected = (1, [("not-permitted", "pi-1", certificate.certificate_id, False)])
    assert audit(run) == expected
    assert audit(run, "--fix") == expected
    assert "not-permitted: active in the ledger, but without the fleet's policy" in run("audit").err


def test_a_superseded_certificate_is_switched_off_after_its_grace(run, cloud):
    key = new_key()
    first = enroll(cloud, "pi-1", key)
    renew(cloud, "pi-1", key)
    assert audit(run, "--grace", "1m") == (0, [])
    answer = judge_after_an_hour(run, cloud)
    assert answer == (0, [("superseded", "pi-1", first.certificate_id, True)])
    assert status(cloud, first) == "INACTIVE"
    assert cloud.ledger.device("pi-1").superseded is None


def judge_after_an_hour(run, cloud):
    """The same, an hour later."""
    with pytest.MonkeyPatch.context() as clock:
        later = time.time() + 3600
        clock.setattr("fleet.commands.audit.time", type("Clock", (), {"time": staticmethod(lambda: later)}))
        return audit(run, "--grace", "30m", "--fix")


def test_a_block_that_was_interrupted_is_found_and_completed(run, cloud):
    certificate = enroll(cloud)
    cloud.ledger.block("pi-1", by="alice", now=int(time.time()))
    assert audit(run, "--fix") == (0, [("should-be-off", "pi-1", certificate.certificate_id, True)])
    assert status(cloud, certificate) == "INACTIVE"


def test_a_certificate_of_a_removed_device_that_somebody_switched_on_again(run, cloud):
    """It is still there: the removal was interrupted, or an earlier release's, which left it."""
    certificate = enroll(cloud)
    run("block", "pi-1")
    cloud.ledger.remove("pi-1", by="alice", now=int(time.time()))
    assert audit(run) == (0, [])
    cloud.iot.update_certificate(certificateId=certificate.certificate_id, newStatus="ACTIVE")
    assert audit(run, "--fix") == (0, [("should-be-off", "pi-1", certificate.certificate_id, True)])
    assert status(cloud, certificate) == "INACTIVE"


def test_an_unknown_certificate_with_the_fleets_policy_is_reported_and_left_for_a_person(run, cloud):
    stranger = cloud.iot.create_certificate_from_csr(certificateSigningRequest=csr(new_key()), setAsActive=True)
    cloud.iot.attach_policy(policyName=cloud.policy, target=stranger["certificateArn"])
    expected = (1, [("unknown", None, stranger["certificateId"], False)])
    assert audit(run) == expected
    assert audit(run, "--fix") == expected


@pytest.fixture
def amazon(aws, operator_environment, monkeypatch):
    """A deployment whose certificates Amazon signs, and which is not made to wait for a quarter of an hour."""
    monkeypatch.setattr("audit.judgement.MIN_AGE_SECONDS", 0)
    return deploy(aws, monkeypatch, "aws")


def unfinished(cloud, key):
    """A certificate that no function knows of: the reply with it was lost."""
    reply = cloud.iot.create_certificate_from_csr(certificateSigningRequest=csr(key), setAsActive=True)
    return reply["certificateId"]


def exists(cloud, certificate_id):
    try:
        cloud.iot.describe_certificate(certificateId=certificate_id)
    except cloud.iot.exceptions.ResourceNotFoundException:
        return False
    return True


def test_an_unfinished_certificate_of_amazons_is_found_by_its_key_and_deleted(run, amazon):
    key = new_key()
    amazon.ledger.allow("pi-1", fingerprint=fingerprint(key), by="alice", now=int(time.time()))
    lost = unfinished(amazon, key)
    strangers = unfinished(amazon, new_key())
    assert audit(run) == (1, [("unfinished", "pi-1", lost, False)])
    assert audit(run, "--fix") == (0, [("unfinished", "pi-1", lost, True)])
    assert (exists(amazon, lost), exists(amazon, strangers)) == (False, True)
    assert audit(run) == (0, [])


def test_an_unfinished_certificate_that_can_do_anything_is_no_unfinished_one(run, amazon):
    keys = [new_key(), new_key()]
    for number, key in enumerate(keys):
        amazon.ledger.allow(f"pi-{number}", fingerprint=fingerprint(key), by="alice", now=int(time.time()))
    with_policy, with_thing = (unfinished(amazon, key) for key in keys)
    arns = {
        each: amazon.iot.describe_certificate(certificateId=each)["certificateDescription"]["certificateArn"]
        for each in (with_policy, with_thing)
    }
    amazon.iot.create_policy(policyName=f"{amazon.fleet}-other", policyDocument='{"Statement": []}')
    amazon.iot.attach_policy(policyName=f"{amazon.fleet}-other", target=arns[with_policy])
    amazon.iot.create_thing(thingName=f"{amazon.fleet}-thing")
    amazon.iot.attach_thing_principal(thingName=f"{amazon.fleet}-thing", principal=arns[with_thing])
    assert audit(run, "--fix") == (0, [])
    assert exists(amazon, with_policy)
    assert exists(amazon, with_thing)


def test_every_kind_of_finding_is_explained(run):
    text = run("audit", "--help").out
    assert all(kind in text and meaning in text for kind, (meaning, _) in MEANINGS.items())


def test_what_agrees_when_it_is_read_again_is_no_finding(run, cloud, monkeypatch):
    """Two lists are compared, one older than the other: what was enrolled in between is in one of them only."""
    key = new_key()
    cloud.ledger.allow("pi-1", fingerprint=fingerprint(key), by="alice", now=int(time.time()))

    def list_and_then_enroll(original):
        def pages(iot_client):
            listed = list(original(iot_client))
            renew(cloud, "pi-1", key)
            return iter(listed)

        return pages

    monkeypatch.setattr(iot, "certificate_pages", list_and_then_enroll(iot.certificate_pages))
    assert audit(run, "--fix") == (0, [])
    assert cloud.ledger.certificates("pi-1")[0].state == "active"


def test_a_person_at_a_terminal_sees_how_much_has_been_read(run, cloud, monkeypatch):
    """A million certificates take AWS IoT a quarter of an hour to list."""
    bars = []

    class Bar(Progress):
        def __init__(self, what, *, total, wanted=True):
            super().__init__(what, total=total, wanted=wanted)
            self.wanted, self.read = wanted, 0
            bars.append(self)

        def advance(self, count=1, *, failed=False):
            super().advance(count, failed=failed)
            self.read += count

    monkeypatch.setattr("fleet.commands.audit.Progress", Bar)
    for name in ("pi-1", "pi-2"):
        enroll(cloud, name)
    assert run("audit").out == "The ledger and AWS IoT agree.\n"
    assert run("audit", "--json").json == []
    assert [each.wanted for each in bars] == [True, False]
    # Each in AWS IoT's list, among the policy's targets and in the ledger, at least; other tests' are in the list, too.
    assert all(each.read >= 3 * 2 for each in bars)


def test_what_was_repaired_is_told_also_when_the_audit_ends_early(run, cloud, monkeypatch):
    for name in ("pi-1", "pi-2"):
        cloud.iot.update_certificate(certificateId=enroll(cloud, name).certificate_id, newStatus="INACTIVE")
    repaired = []

    def repair_one(finding, deployment):
        if repaired:
            raise NoCredentials("The AWS session has expired.", cure="log in again")
        repaired.append(finding.device)
        return True

    monkeypatch.setattr("fleet.commands.audit.repair", repair_one)
    answer = run("audit", "--fix")
    assert answer.code == NoCredentials.exit_code
    assert [line.split()[:3] for line in answer.out.splitlines()[1:]] == [["switched-off", *repaired, "yes"]]
    assert "before the audit ended early" in answer.err
    assert "The AWS session has expired." in answer.err
    answer = run("audit", "--fix", "--json")
    assert answer.json["error"] == NoCredentials("").kind, "one object, and no list before it"


def test_the_command_holds_the_policy_against_what_the_deployment_declares(run, aws, monkeypatch):
    declared = json.dumps({"policy": digest_of(NO_PERMISSIONS, prefix="arn:"), "authorities": []})
    cloud = deploy(aws, monkeypatch, KMS, Declared=declared)
    assert run("audit").code == 0
    wide = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}'
    cloud.iot.create_policy_version(policyName=cloud.policy, policyDocument=wide, setAsDefault=True)
    answer = run("audit", "--json")
    assert answer.code == 1
    assert answer.json == [
        {
            "kind": "policy-drifted",
            "device": None,
            "certificateId": None,
            "detail": f"{cloud.policy}, version 2",
            "fixed": False,
        }
    ]


def test_what_is_only_told_is_no_failure_of_the_command(run, aws, monkeypatch):
    declared = json.dumps({"policy": digest_of(NO_PERMISSIONS, prefix="arn:"), "authorities": []})
    cloud = deploy(aws, monkeypatch, KMS, Declared=declared)
    name = f"left-{cloud.fleet}"
    cloud.iot.create_thing(thingName=name, attributePayload={"attributes": {THING_MARK: cloud.fleet}})
    answer = run("audit")
    assert (answer.code, answer.out.splitlines()[1].split()[:2]) == (0, ["thing-left", name])


def test_a_certificate_that_should_be_gone_is_deleted_by_fix(run, aws, monkeypatch):
    cloud = deploy(aws, monkeypatch, KMS, DeleteAfterDays="30")
    key = new_key()
    old = enroll(cloud, "pi-1", key)
    renew(cloud, "pi-1", key)
    cloud.iot.update_certificate(certificateId=old.certificate_id, newStatus="INACTIVE")
    cloud.ledger.deactivated("pi-1", old.certificate_id, by="sweep", now=int(time.time()) - 38 * DAY)
    assert audit(run) == (1, [("should-be-gone", "pi-1", old.certificate_id, False)])
    assert audit(run, "--fix") == (0, [("should-be-gone", "pi-1", old.certificate_id, True)])
    assert audit(run) == (0, [])
    assert cloud.ledger.certificate("pi-1", old.certificate_id).deleted_at
