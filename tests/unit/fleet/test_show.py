"""What the ledger tells about one device, and the retirement of a CA."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from infra.settings import Settings
from ledger import CertificateAuthority
from pki.certificates import ca_certificate, verification_certificate
from pki.fingerprint import certificate_id
from tests.support.fleet.authority import CA, CA_KEY, fingerprint, new_key
from tests.support.fleet.deployment import deploy, enroll, renew


def test_show_has_each_certificate_that_was_ever_issued_and_what_became_of_it(run, cloud):
    key = new_key()
    first, second = enroll(cloud, "pi-1", key), renew(cloud, "pi-1", key)
    shown = run("show", "pi-1", "--json").json
    assert (shown["name"], shown["state"], shown["fingerprint"]) == ("pi-1", "enrolled", fingerprint(key))
    assert sorted((each["certificateId"], each["state"], each["pem"]) for each in shown["certificates"]) == sorted(
        [(first.certificate_id, "superseded", first.pem), (second.certificate_id, "active", second.pem)]
    )
    text = run("show", "pi-1").out
    assert "state:" in text
    assert all(each.certificate_id in text for each in (first, second))


def test_show_and_history_remember_a_removed_device(run, cloud):
    certificate = enroll(cloud)
    run("block", "pi-1")
    run("remove", "pi-1")
    shown = run("show", "pi-1", "--json").json
    assert (shown["state"], [each["state"] for each in shown["certificates"]]) == ("removed", ["deactivated"])
    history = run("history", "pi-1", "--json").json
    assert [each["what"] for each in history] == [
        *("allowed", "certificate signed", "enrolled", "blocked", "certificate deactivated", "removed"),
        "certificate deleted",
    ]
    assert history[2]["detail"] == certificate.certificate_id
    assert run("history", "pi-1").out.splitlines()[0].split() == ["TIME", "WHAT", "BY", "DETAIL"]


@pytest.mark.parametrize("command", ["show", "history"])
def test_a_name_that_was_never_used_is_refused(run, cloud, command):
    answer = run(command, "pi-7")
    assert (answer.code, answer.out) == (1, "")
    assert "There is no device 'pi-7'" in answer.err


def test_show_has_the_turn_of_a_device_that_waits_for_one(run, cloud, aws):
    cloud.ledger.allow("pi-1", fingerprint=fingerprint(new_key()), by="alice", now=int(time.time()))
    assert run("show", "pi-1", "--json").json["turn"] is None
    assert "turn" not in run("show", "pi-1").out
    aws("dynamodb").update_item(
        TableName=cloud.table,
        Key={"pk": {"S": "device#pi-1"}, "sk": {"S": "device"}},
        UpdateExpression="SET turn = :turn",
        ExpressionAttributeValues={":turn": {"N": "1800000000999"}},
    )
    assert run("show", "pi-1", "--json").json["turn"] == "2027-01-15T08:00:00Z"
    assert "turn:" in run("show", "pi-1").out


@pytest.fixture
def rotated(aws, operator_environment, monkeypatch):
    """A deployment with two CAs: 2026, whose certificates are in the field, and 2027, which issues."""
    cloud = deploy(aws, monkeypatch, "kms")
    newer_key = new_key()
    newer = ca_certificate(
        signer=newer_key,
        common_name="newer",
        organization="",
        validity_years=10,
        now=datetime.now(UTC) + timedelta(minutes=1),
    )
    for name, ca, key in (("2026", CA, CA_KEY), ("2027", newer, newer_key)):
        pem = ca.public_bytes(Encoding.PEM).decode()
        code = cloud.iot.get_registration_code()["registrationCode"]
        proof = verification_certificate(signer=key, ca=ca, registration_code=code, now=datetime.now(UTC))
        proof_pem = proof.public_bytes(Encoding.PEM).decode()
        cloud.iot.register_ca_certificate(caCertificate=pem, verificationCertificate=proof_pem, setAsActive=True)
        cloud.ledger.keep_certificate_authority(
            CertificateAuthority(
                name=name,
                key_arn=f"arn:{name}",
                subject=ca.subject.rfc4514_string(),
                certificate_pem=pem,
                verification_pem=proof_pem,
                validity_years=10,
            )
        )
    yield cloud
    for ca in (CA, newer):
        cloud.iot.update_ca_certificate(certificateId=certificate_id(ca), newStatus="INACTIVE")
        cloud.iot.delete_ca_certificate(certificateId=certificate_id(ca))


def ca_status(cloud):
    description = cloud.iot.describe_ca_certificate(certificateId=certificate_id(CA))["certificateDescription"]
    return description["status"]


def test_an_older_ca_is_retired_when_no_device_holds_its_certificates(run, rotated):
    answer = run("ca", "retire", "2026", "--json")
    assert answer.json == {"name": "2026", "certificateIds": [certificate_id(CA)], "retired": True} | {
        "setting": {"certificateAuthorities": [{"name": "2026", "retired": True}]}
    }
    assert ca_status(rotated) == "INACTIVE"
    again = run("ca", "retire", "2026")
    assert again.code == 0
    assert 'add "retired": true to the CA "2026" of certificateAuthorities there, and deploy' in again.out


def test_what_the_command_prints_is_a_setting_that_the_deployment_takes(run, rotated):
    (entry,) = run("ca", "retire", "2026", "--json").json["setting"]["certificateAuthorities"]
    declared = json.loads((Path(__file__).parents[3] / "cdk.json").read_text())["context"]["zymkey-fleet"]
    old = declared["certificateAuthorities"][0]
    authorities = [old | entry, old | {"name": "2027"}]
    settings = Settings.from_context({"zymkey-fleet": {"certificateAuthorities": authorities}})
    assert [each.retired for each in settings.certificate_authorities] == [True, False]


def test_when_the_newest_was_retired_the_older_one_issues_again_and_is_not_retired(run, rotated):
    assert run("ca", "retire", "2027", "--force").code == 0
    assert "The CA '2026' is the newest, which issues." in run("ca", "retire", "2026").err
    assert ca_status(rotated) == "ACTIVE"
    assert run("ca", "retire", "2027").code == 0


def test_a_ca_is_not_retired_while_a_device_holds_its_certificate(run, rotated):
    enroll(rotated, "pi-1")
    answer = run("ca", "retire", "2026")
    assert (answer.code, ca_status(rotated)) == (1, "ACTIVE")
    assert "Certificates of the CA '2026' are still held by pi-1." in answer.err


def test_a_certificate_that_is_being_registered_counts_as_held(run, rotated):
    key, now = new_key(), int(time.time())
    rotated.ledger.allow("pi-1", fingerprint=fingerprint(key), by="alice", now=now)
    issued = enroll(rotated, "pi-2", registered=False)
    run("block", "pi-2")
    rotated.ledger.acquire_lease("pi-1", fingerprint=fingerprint(key), lease="mine", lease_until=now + 25, now=now)
    unfinished = type(issued)(**vars(issued) | {"device": "pi-1", "fingerprint": fingerprint(key)})
    rotated.ledger.record_certificate(unfinished, lease="mine", now=now)
    answer = run("ca", "retire", "2026")
    assert (answer.code, ca_status(rotated)) == (1, "ACTIVE")
    assert "pi-1" in answer.err


def test_blocked_devices_do_not_keep_a_ca(run, rotated):
    enroll(rotated, "pi-1")
    run("block", "pi-1")
    assert run("ca", "retire", "2026").code == 0


def test_the_ca_that_issues_is_never_retired(run, rotated):
    answer = run("ca", "retire", "2027")
    assert answer.code == 1
    assert "is the newest, which issues" in answer.err


def test_an_unknown_ca_is_refused_with_the_names_that_exist(run, rotated):
    answer = run("ca", "retire", "1999")
    assert answer.code == 1
    assert "There is no CA '1999'; there are: 2026, 2027." in answer.err


def test_a_ca_whose_key_is_stolen_is_retired_although_it_issues(run, rotated):
    enroll(rotated, "pi-1")
    assert run("ca", "retire", "2026", "--force").code == 0
    assert ca_status(rotated) == "INACTIVE"
    assert run("ca", "retire", "2027", "--force").code == 0
