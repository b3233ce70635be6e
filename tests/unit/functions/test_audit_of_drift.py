"""What the audit finds beside the certificates: the policy, the CAs, signatures and things, as they were declared."""

import time
import uuid
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from audit.judgement import DAY
from functions.audit_run import AuditIncomplete
from ledger import THING_MARK, ThingProfile
from pki.certificates import device_certificate
from pki.fingerprint import certificate_id
from pki.kms_key import KmsPrivateKey
from tests.support.audited import audited, declared, deploy_alone, findings
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import issued


@pytest.fixture
def fleet(deploy, aws):
    return deploy_alone(deploy, aws)


def found(fleet, later=0, **members):
    """Kind, device and detail; a certificate that was made just now is none yet, so the audit runs a while later."""
    audited(fleet, later, declared=declared(fleet, **members))
    return findings(fleet)


def enroll(fleet, faults=None):
    candidate = fleet.invite(Candidate())
    issued(fleet.enroll(candidate, faults))
    return candidate


def test_a_fleet_as_it_was_declared_has_no_findings(fleet):
    enroll(fleet)
    assert found(fleet) == []
    assert found(fleet) == []


def test_a_deployment_of_before_has_no_more_to_be_held_against(fleet, aws):
    aws("iot").create_policy_version(
        policyName=fleet.iot_policy, policyDocument='{"Version":"2012-10-17"}', setAsDefault=True
    )
    enroll(fleet)
    assert audited(fleet, declared="").counts == {}


# The policy


def test_another_version_of_the_policy_in_effect_is_a_finding_and_another_spacing_is_none(fleet, aws):
    spaced = '{"Statement":[],  "Version":"2012-10-17"}'
    aws("iot").create_policy_version(policyName=fleet.iot_policy, policyDocument=spaced, setAsDefault=True)
    assert found(fleet) == []
    wide = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}'
    aws("iot").create_policy_version(policyName=fleet.iot_policy, policyDocument=wide, setAsDefault=True)
    assert found(fleet) == [("policy-drifted", None, f"{fleet.iot_policy}, version 3")]


# The CAs


def test_a_ca_that_is_not_as_declared_is_a_finding(fleet, aws):
    (ca,) = fleet.choices.ca_certificates
    key = fleet.choices.ca_key_arn
    retired = {"key": key, "status": "INACTIVE", "autoRegistration": "ENABLE"}
    gone = {"id": "c" * 64, "status": "ACTIVE"}
    audited(fleet, declared=declared(fleet, authorities=[retired, gone]))
    record = fleet.ledger.last_audit()
    assert [(each["kind"], each["certificateId"], each["detail"]) for each in fleet.ledger.audit_findings(record)] == [
        ("ca-status", certificate_id(ca), "is ACTIVE, declared INACTIVE"),
        ("ca-auto-registration", certificate_id(ca), "is DISABLE, declared ENABLE"),
        ("ca-missing", "c" * 64, ""),
    ]
    assert sum(record.counts.values()) == 3


def test_a_certificate_that_somebody_else_has_signed_with_the_ca_is_a_finding_after_a_while(fleet, aws):
    """Who may use the key, and does not go through the functions, leaves a certificate that the ledger lacks."""
    before = len(found(fleet, DAY))
    (ca,) = fleet.choices.ca_certificates
    stolen = device_certificate(
        signer=KmsPrivateKey(client=aws("kms"), key_id=fleet.choices.ca_key_arn, public_key=ca.public_key()),
        ca=ca,
        key=ec.generate_private_key(ec.SECP256R1()).public_key(),
        device=f"pi-{uuid.uuid4().hex[:8]}",
        subject={},
        validity_days=30,
        now=datetime.now(UTC),
    )
    pem = stolen.public_bytes(Encoding.PEM).decode()
    ca_pem = ca.public_bytes(Encoding.PEM).decode()
    aws("iot").register_certificate(certificatePem=pem, caCertificatePem=ca_pem, status="ACTIVE")
    try:
        assert found(fleet) == [], "one of just now may be an enrollment"
        kinds = [each[0] for each in found(fleet, DAY)]
        assert kinds.count("foreign-signature") == len(kinds) == before + 1
    finally:
        aws("iot").update_certificate(certificateId=certificate_id(stolen), newStatus="INACTIVE")
        aws("iot").delete_certificate(certificateId=certificate_id(stolen))


# Signatures


def test_a_signature_whose_certificate_was_never_recorded_is_told_once(fleet):
    enroll(fleet)
    assert found(fleet) == [], "the first audit has nothing to compare with"
    fleet.ledger.count_signature(certificate_id(fleet.choices.ca_certificates[0]))
    assert found(fleet) == [("unrecorded-signatures", None, "1 more than certificates since the audit before")]
    enroll(fleet)
    assert found(fleet) == []


def test_a_certificate_on_record_that_nobody_has_asked_a_signature_for_is_a_finding(fleet, aws):
    enroll(fleet)
    assert found(fleet) == []
    table, ca = fleet.choices.ledger_table, certificate_id(fleet.choices.ca_certificates[0])
    forged = {"pk": f"device#pi-{uuid.uuid4().hex[:8]}", "sk": f"certificate#{'f' * 64}", "state": "deactivated"}
    item = {name: {"S": value} for name, value in {**forged, "issued_by": ca}.items()}
    aws("dynamodb").put_item(TableName=table, Item=item | {"updated_at": {"N": str(int(time.time()))}})
    assert found(fleet) == [("unsigned-certificates", None, "1 more than signatures since the audit before")]


@pytest.mark.parametrize("operation", ["GetPolicy", "Scan", "ListThings"])
def test_devices_that_enroll_while_it_counts_are_no_finding(fleet, operation):
    enroll(fleet)
    assert found(fleet) == []
    meanwhile = Faults(operation=operation, kind="meanwhile", meanwhile=lambda: enroll(fleet))
    audited(fleet, faults=meanwhile, declared=declared(fleet))
    assert (meanwhile.fired, findings(fleet)) == (True, [])
    assert found(fleet) == []


def test_a_request_at_work_is_no_finding(fleet):
    """It has signed, and not recorded: the lease of its device says so."""
    enroll(fleet)
    assert found(fleet) == []
    candidate = fleet.invite(Candidate())
    with pytest.raises(Killed):
        fleet.enroll(candidate, Faults(operation="Sign", kind="killed"))
    assert found(fleet) == []
    kinds = {kind for kind, _, _ in found(fleet, 60)}
    assert kinds == {"unrecorded-signatures"}, "when the lease is over, the signature is lost"


def test_an_incomplete_audit_leaves_what_the_next_one_compares_with(fleet):
    enroll(fleet)
    assert found(fleet) == []
    before = fleet.ledger.last_audit().compared
    assert before
    with pytest.raises(AuditIncomplete):
        audited(fleet, faults=Faults(operation="ListCertificates"), declared=declared(fleet))
    assert fleet.ledger.last_audit().compared == before


# Things


def of_thing(fleet, candidate, **change):
    fleet.iot.update_thing(thingName=candidate.name, **change)


def test_an_enrolled_device_without_its_thing_is_a_finding(fleet):
    candidate = enroll(fleet)
    for principal in fleet.iot.list_thing_principals(thingName=candidate.name)["principals"]:
        fleet.iot.detach_thing_principal(thingName=candidate.name, principal=principal)
    fleet.iot.delete_thing(thingName=candidate.name)
    assert found(fleet) == [("thing-missing", candidate.name, "")]


@pytest.mark.parametrize(
    ("attributes", "finding"),
    [
        ({THING_MARK: "another"}, ("thing-foreign", "of the fleet another")),
        ({"colour": "red"}, ("thing-unmarked", "")),
    ],
)
def test_a_thing_with_another_mark_or_none_is_a_finding(fleet, attributes, finding):
    candidate = enroll(fleet)
    of_thing(fleet, candidate, attributePayload={"attributes": attributes, "merge": False})
    kind, detail = finding
    assert found(fleet) == [(kind, candidate.name, detail)]


def test_a_thing_of_a_device_that_is_gone_is_told(fleet):
    name = f"pi-{uuid.uuid4().hex[:8]}"
    fleet.iot.create_thing(thingName=name, attributePayload={"attributes": {THING_MARK: fleet.choices.fleet}})
    assert found(fleet) == [("thing-left", name, "")]


def test_attributes_and_groups_are_those_of_settings_and_operator_whatever_else_a_thing_has(deploy, aws):
    group, own = (f"group-{uuid.uuid4().hex[:8]}" for _ in range(2))
    for each in (group, own):
        aws("iot").create_thing_group(thingGroupName=each)
    things = {"attributes": {"site": "north"}, "groups": [group], "allowedGroups": [own]}
    fleet = deploy_alone(deploy, aws, things=things)
    candidate = fleet.invite(Candidate(), profile=ThingProfile(attributes={"rack": "7"}, groups=(own,)))
    issued(fleet.enroll(candidate))
    of_thing(fleet, candidate, attributePayload={"attributes": {"colour": "red"}, "merge": True})
    assert found(fleet) == []
    of_thing(fleet, candidate, attributePayload={"attributes": {"rack": "8", "site": ""}, "merge": True})
    fleet.iot.remove_thing_from_thing_group(thingGroupName=own, thingName=candidate.name)
    detail = f"no attribute site; attribute rack is 8, not 7; not in the group {own}"
    assert found(fleet) == [("thing-drifted", candidate.name, detail)]
    fleet.iot.delete_thing_group(thingGroupName=group)
    assert ("thing-drifted", None, f"there is no thing group {group}") in found(fleet)


def test_only_what_no_sound_fleet_has_for_months_is_counted_for_the_alarm(fleet, monkeypatch):
    from functions import audit_run  # the metric's line

    candidate = enroll(fleet)
    of_thing(fleet, candidate, attributePayload={"attributes": {"colour": "red"}, "merge": False})
    counted = []
    monkeypatch.setattr(audit_run, "measured", lambda values: counted.extend(values.values()) or {})
    assert found(fleet) == [("thing-unmarked", candidate.name, "")]
    of_thing(fleet, candidate, attributePayload={"attributes": {THING_MARK: "another"}, "merge": False})
    found(fleet)
    assert counted == [0, 1]
