"""What a destroyed deployment left is found without its stacks, and written as the setting that takes it over."""

import json
import re
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from functions.certificate_authority import answer
from infra.settings import Settings
from pki.certificates import verification_certificate
from pki.fingerprint import certificate_id
from tests.support.emulator import CREDENTIALS
from tests.support.fleet.authority import CA, CA_KEY, fingerprint, new_key
from tests.support.fleet.deployment import NO_PERMISSIONS, enroll
from tests.support.fleet.left import leave as leave_of
from tests.support.fleet.left import make_ca
from tests.support.release import FIRST_RELEASE, sources_of

CA_2026 = {"name": "2026", "commonName": "fleet CA", "organization": "Acme", "validityYears": 20}


@pytest.fixture
def fleet(monkeypatch):
    name = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("ZYMKEY_FLEET", name)
    return name


@pytest.fixture
def leave(aws, operator_environment, fleet):
    """A function that leaves a ledger and an IoT policy behind, named as CloudFormation names them."""

    def leave(policy="DevicePolicyPolicy"):
        return leave_of(aws, fleet, policy)

    return leave


def write_cdk_json(folder, **settings):
    """A cdk.json as this repository's, with these settings."""
    whole = json.loads((Path(__file__).parents[3] / "cdk.json").read_text())
    whole["context"]["zymkey-fleet"] |= settings
    (folder / "cdk.json").write_text(json.dumps(whole, indent=2) + "\n")


# The custom resource of the first release, whose functions may not be updated before its stacks are destroyed.
OF_THE_FIRST_RELEASE = """
import json, sys
from datetime import UTC, datetime
import boto3
from infra.functions.certificate_authority import answer
from ledger import Ledger
address, table, properties = sys.argv[1:]
dynamodb, kms, iot = (boto3.client(each, endpoint_url=address, region_name="us-east-1") for each in
                      ("dynamodb", "kms", "iot"))
event = {"RequestType": "Create", "ResourceProperties": json.loads(properties)}
ledger = Ledger(client=dynamodb, table=table)
print(json.dumps(answer(event, ledger=ledger, kms=kms, iot=iot, now=datetime.now(UTC))["Data"]))
"""


def test_what_the_first_release_left_is_adopted_and_its_ca_is_the_same_to_the_byte(
    run, aws, aws_address, leave, tmp_path
):
    left = leave()
    enroll(left)
    key = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    properties = {"Name": "2026", "KeyArn": key, "CommonName": "CA", "Organization": "", "ValidityYears": "20"}
    done = subprocess.run(
        [sys.executable, "-c", OF_THE_FIRST_RELEASE, aws_address, left.table, json.dumps(properties)],
        cwd=sources_of(FIRST_RELEASE, tmp_path),
        env=CREDENTIALS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    aws("iot").register_ca_certificate(
        caCertificate=made["CertificatePem"], verificationCertificate=made["VerificationCertificatePem"]
    )

    adopt = run("adopt", "--json").json["adopt"]
    assert adopt["certificateAuthorities"] == {"2026": key}
    event = {"RequestType": "Create", "ResourceProperties": properties | {"Adopted": "true"}}
    clients = {"kms": aws("kms"), "iot": aws("iot")}
    assert answer(event, ledger=left.ledger, now=datetime.now(UTC), **clients)["Data"] == made


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """In a folder without a cdk.json."""
    monkeypatch.chdir(tmp_path)


def test_ledger_policy_and_cas_are_found_and_the_app_takes_them_as_printed(run, aws, leave, fleet):
    left = leave()
    enroll(left)
    key, _ = make_ca(aws, left)
    printed = run("adopt")
    assert printed.code == 0, printed.err
    adopt = json.loads(f"{{{printed.out}}}")["adopt"]
    assert adopt == {
        "ledgerTable": left.table,
        "iotPolicy": left.policy,
        "certificateAuthorities": {"2026": key},
    }
    assert printed.err.splitlines() == [
        'Put this into the object "zymkey-fleet" in cdk.json (or add --write), then: cdk deploy --all'
    ]
    settings = Settings.from_context({"zymkey-fleet": {"fleet": fleet, "adopt": adopt}})
    assert settings.adopt.certificate_authorities == {"2026": key}


def test_it_is_written_into_cdk_json_and_nothing_else_there_changes(run, aws, leave, fleet, tmp_path):
    left = leave()
    enroll(left)
    write_cdk_json(tmp_path, fleet=fleet)
    before = (tmp_path / "cdk.json").read_text()
    printed = run("adopt", "--write", "--json")
    after = (tmp_path / "cdk.json").read_text()
    assert (printed.json["written"], printed.json["adopt"]["ledgerTable"]) == (True, left.table)
    assert json.loads(after)["context"]["zymkey-fleet"]["adopt"] == printed.json["adopt"]
    assert before.split('"adopt": null')[0] == after.split('"adopt": {')[0]
    assert after.endswith(before.split('"adopt": null')[1])
    assert json.dumps(json.loads(after), indent=2) + "\n" == after
    assert run("adopt", "--write").code == 0  # once more, over what is there now
    assert (tmp_path / "cdk.json").read_text() == after


def test_a_cdk_json_of_another_fleet_is_not_written_to(run, leave, tmp_path):
    leave()
    write_cdk_json(tmp_path)
    before = (tmp_path / "cdk.json").read_bytes()
    refused = run("adopt", "--write")
    assert (refused.code, refused.out) == (1, "")
    assert "has the settings of the fleet 'zymkey', not of 'test-" in refused.err
    assert (tmp_path / "cdk.json").read_bytes() == before
    assert run("adopt").code == 0


@pytest.mark.parametrize("content", ["{", "[]", '{"context": {"zymkey-fleet": 1}}', None])
def test_a_cdk_json_that_is_none_is_refused(run, leave, tmp_path, content):
    leave()
    if content is not None:
        (tmp_path / "cdk.json").write_text(content)
    refused = run("adopt", "--write")
    assert refused.code == 1
    assert "cdk.json'" in refused.err


def test_of_two_ledgers_the_one_with_devices_is_adopted_and_both_are_shown(run, leave):
    empty, used = leave(), leave()
    enroll(used)
    printed = run("adopt")
    assert f'"ledgerTable": "{used.table}"' in printed.out
    rows = {line.split()[0]: line.split()[2:4] for line in printed.out.splitlines() if line.startswith("test-")}
    assert rows == {empty.table: ["0", "0"], used.table: ["1", "1"]}


def test_of_two_ledgers_with_devices_a_person_chooses(run, leave):
    first, second = leave(), leave()
    enroll(first, "pi-1")
    enroll(second, "pi-1")
    second.ledger.allow("pi-2", fingerprint=fingerprint(new_key()), by="alice", now=int(time.time()))
    refused = run("adopt", "--json")
    assert refused.code == 1
    assert refused.json["try"] == "zymkey-fleet adopt --table NAME"
    assert f"{first.table} (made 20" in refused.json["cause"]
    assert "2 devices, 1 enrolled, last change 20" in refused.json["cause"]
    for each in (first, second):
        chosen = run("adopt", "--table", each.table, "--json").json
        assert chosen["adopt"] == {"ledgerTable": each.table, "iotPolicy": each.policy}
        assert len(chosen["ledgers"]) == 2
    assert "no ledger 'other' to adopt" in run("adopt", "--table", "other").err


def test_a_policy_that_people_attached_is_not_taken_for_the_fleets(run, leave):
    left = leave()
    certificate = enroll(left)
    arn = left.iot.describe_certificate(certificateId=certificate.certificate_id)["certificateDescription"]
    left.iot.create_policy(policyName=f"{left.fleet}-extra", policyDocument=NO_PERMISSIONS)
    left.iot.attach_policy(policyName=f"{left.fleet}-extra", target=arn["certificateArn"])
    assert run("adopt", "--json").json["adopt"]["iotPolicy"] == left.policy
    chosen = run("adopt", "--policy", f"{left.fleet}-extra", "--json").json
    assert chosen["adopt"]["iotPolicy"] == f"{left.fleet}-extra"
    assert "has the IoT policy 'typo'" in run("adopt", "--policy", "typo").err


def test_two_policies_that_could_be_the_fleets_are_named(run, leave):
    left, other = leave(), leave()
    certificate = enroll(left)
    arn = left.iot.describe_certificate(certificateId=certificate.certificate_id)["certificateDescription"]
    left.iot.attach_policy(policyName=other.policy, target=arn["certificateArn"])
    refused = run("adopt")
    assert refused.code == 1
    assert all(policy in refused.err for policy in (left.policy, other.policy))


def test_without_devices_a_new_policy_is_made(run, leave):
    left = leave()
    left.ledger.allow("pi-1", fingerprint=fingerprint(new_key()), by="alice", now=int(time.time()))
    found = run("adopt", "--json").json
    assert found["adopt"] == {"ledgerTable": left.table}
    assert found["notes"] == ["No device has a certificate with an IoT policy: a new policy will be made."]


def test_a_ca_that_cannot_be_used_is_left_out_and_the_reason_given(run, aws, leave):
    left = leave()
    deleted, _ = make_ca(aws, left, "deleted", registered=False)
    scheduled, _ = make_ca(aws, left, "scheduled")
    aws("kms").schedule_key_deletion(KeyId=scheduled)
    retired, identifier = make_ca(aws, left, "retired")
    aws("iot").update_ca_certificate(certificateId=identifier, newStatus="INACTIVE")
    disabled, _ = make_ca(aws, left, "disabled")
    aws("kms").disable_key(KeyId=disabled)
    found = run("adopt", "--json").json
    assert found["adopt"]["certificateAuthorities"] == {"retired": retired, "disabled": disabled}
    notes = "\n".join(found["notes"])
    assert "The CA 'deleted' (CN=fleet CA,O=Acme, 20 years) is not adopted: its registration in AWS IoT was" in notes
    assert f"'scheduled' (CN=fleet CA,O=Acme, 20 years) is not adopted: its key {scheduled} is PendingDeletion" in notes
    assert "'retired' (CN=fleet CA,O=Acme, 20 years) is INACTIVE in AWS IoT, as `ca retire` leaves it." in notes
    assert f"cannot sign: its key {disabled} is Disabled in KMS." in notes
    assert deleted not in json.dumps(found["adopt"])


def test_a_ca_of_the_first_release_gets_the_command_for_the_tag_that_retiring_it_needs(run, aws, leave):
    left = leave()
    key, identifier = make_ca(aws, left, tagged=False)
    found = run("adopt", "--json").json
    assert found["adopt"]["certificateAuthorities"] == {"2026": key}
    (said,) = (each for each in found["notes"] if identifier in each)
    arn, tags = re.search(r"`aws iot tag-resource --resource-arn (\S+) --tags Key=(\S+,Value=\S+)`", said).groups()
    name, value = tags.split(",Value=")
    aws("iot").tag_resource(resourceArn=arn, tags=[{"Key": name, "Value": value}])
    assert not any(identifier in each for each in run("adopt", "--json").json["notes"])


def test_only_the_cas_that_cdk_json_names_are_adopted(run, aws, leave, fleet, tmp_path):
    left = leave()
    make_ca(aws, left, "2020")
    key, _ = make_ca(aws, left, "2026")
    write_cdk_json(tmp_path, fleet=fleet, certificateAuthorities=[CA_2026])
    found = run("adopt", "--json").json
    assert found["adopt"]["certificateAuthorities"] == {"2026": key}
    assert any("'2020'" in each and "cdk.json does not name it" in each for each in found["notes"])


def test_the_external_ca_is_the_one_that_cdk_json_names_or_that_signed(run, aws, leave, fleet, tmp_path):
    left = leave()
    enroll(left)  # with a certificate of the test's CA
    code = aws("iot").get_registration_code()["registrationCode"]
    proof = verification_certificate(signer=CA_KEY, ca=CA, registration_code=code, now=datetime.now(UTC))
    pem = CA.public_bytes(Encoding.PEM).decode()
    assert "externalCertificateAuthority" not in run("adopt", "--json").json["adopt"], "it is not registered"
    registered = aws("iot").register_ca_certificate(
        caCertificate=pem, verificationCertificate=proof.public_bytes(Encoding.PEM).decode(), setAsActive=True
    )["certificateId"]
    try:
        assert run("adopt", "--json").json["adopt"]["externalCertificateAuthority"] == registered == certificate_id(CA)
        write_cdk_json(tmp_path, fleet=fleet)
        found = run("adopt", "--json").json
        assert "externalCertificateAuthority" not in found["adopt"]
        assert any(f"external CA {registered}. To adopt it, name its certificate" in each for each in found["notes"])
        (tmp_path / "ca.pem").write_text(pem)
        write_cdk_json(tmp_path, fleet=fleet, externalCertificateAuthority={"certificate": "ca.pem"})
        assert run("adopt", "--json").json["adopt"]["externalCertificateAuthority"] == registered
    finally:
        aws("iot").update_ca_certificate(certificateId=registered, newStatus="INACTIVE")
        aws("iot").delete_ca_certificate(certificateId=registered)


def test_where_nothing_is_left_it_says_so(run, operator_environment, fleet):
    answer = run("adopt")
    assert answer.code == 3
    assert f"No deployment of a fleet '{fleet}' has left a ledger in Region us-east-1" in answer.err


def deploy_trust(aws, fleet):
    """A stack with a ledger of its own; returns the ledger's name."""
    attribute = {"AttributeName": "pk", "AttributeType": "S"}
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "AttributeDefinitions": [attribute],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    }
    client = aws("cloudformation")
    client.create_stack(StackName=f"{fleet}-Trust", TemplateBody=json.dumps({"Resources": {"LedgerTable": table}}))
    client.get_waiter("stack_create_complete").wait(StackName=f"{fleet}-Trust", WaiterConfig={"Delay": 1})
    (resource,) = client.list_stack_resources(StackName=f"{fleet}-Trust")["StackResourceSummaries"]
    return resource["PhysicalResourceId"]


def test_a_deployment_that_is_there_has_nothing_to_adopt(run, aws, leave, fleet):
    table = deploy_trust(aws, fleet)
    refused = run("adopt")
    assert refused.code == 1
    assert f"with the ledger {table}, and there is no other ledger of this fleet: nothing has to be adopted" in (
        refused.err
    )


def test_a_deployment_that_began_an_empty_ledger_has_to_go_first(run, aws, leave, fleet):
    table = deploy_trust(aws, fleet)
    left = leave()
    enroll(left)
    found = run("adopt", "--json").json
    assert found["adopt"]["ledgerTable"] == left.table
    assert [each["table"] for each in found["ledgers"]] == [left.table]
    assert f"with the ledger {table}. Delete that stack alone before you deploy" in found["notes"][0]
    assert f"`cdk destroy --exclusively {fleet}-Trust`" in found["notes"][0]


def test_who_may_not_is_sent_to_an_administrator(run, leave, monkeypatch):
    leave()
    monkeypatch.setattr("fleet.left_behind.stack_tables", denied)
    refused = run("adopt")
    assert refused.code == 5
    assert "Try: use an administrator's credentials" in refused.err


def denied(*_):
    from botocore.exceptions import ClientError

    message = "User is not authorized to perform: dynamodb:ListTables"
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, "ListTables")
