"""`zymkey-fleet` against the whole cloud, run by an operator who may what the fleet's policy lets her, and no more."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from fleet.smoke_test.questions import QUESTIONS
from ledger import THING_MARK
from sandbox.deployment import THING_GROUP
from sandbox.environment import as_operator
from sandbox.operator import ensure_person
from tests.support.cloud.commands import Command, operator
from tests.support.cloud.enrollment import Candidate, Cloud, assert_enrolled, issued, new_name


@pytest.fixture
def environment(sandbox: Any) -> dict[str, str]:
    return as_operator(sandbox.env)


@pytest.fixture
def fleet(sandbox: Any) -> Command:
    return operator(sandbox.env)


@pytest.fixture
def cloud(sandbox: Any) -> Cloud:
    return Cloud(sandbox)


@pytest.fixture
def example_ca(sandbox: Any) -> Sequence[object]:
    """The options that name the sandbox's CA elsewhere."""
    folder = sandbox.addresses.directory / "external-ca"
    key = ["--ca-key", folder / "ca.key", "--passphrase-file", folder / "passphrase"]
    return ["--ca-cert", folder / "ca.crt", *key]


def ledger_items(sandbox: Any) -> int:
    """How many there are, but for the counts of signatures, which tell of throw-away devices without naming any."""
    pages = sandbox.boto("dynamodb").get_paginator("scan").paginate(TableName=sandbox.outputs["LedgerTable"])
    return sum(not item["pk"]["S"].startswith("signatures#") for page in pages for item in page["Items"])


def findings(answer: Any) -> set[tuple[Any, ...]]:
    """What an audit has found, without what only a person reads."""
    return {(each["kind"], each["device"], each["certificateId"], each["fixed"]) for each in answer}


def thing_of(cloud: Cloud, name: str) -> tuple[dict[str, str], list[str]]:
    """The attributes of a device's thing beside the fleet's mark, and its groups."""
    attributes = dict(cloud.iot.describe_thing(thingName=name)["attributes"])
    assert attributes.pop(THING_MARK) == cloud.outputs["Fleet"]
    groups = cloud.iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]
    return attributes, [each["groupName"] for each in groups]


def test_a_device_s_life_from_invitation_to_removal(fleet: Command, cloud: Cloud) -> None:
    cloud.iot.create_thing_group(thingGroupName=THING_GROUP)
    candidate = Candidate(name=new_name())
    thing = ("--attribute", "site=berlin", "--group", THING_GROUP)
    candidate.token = fleet("invite", candidate.name, *thing, "--json").json["token"]
    certificate = issued(cloud.enroll(candidate))
    assert_enrolled(cloud, candidate, certificate)
    assert thing_of(cloud, candidate.name) == ({"site": "berlin"}, [THING_GROUP])
    fleet("set", candidate.name, "--attribute", "site=", "--attribute", "hall=7", "--no-group", THING_GROUP)
    assert thing_of(cloud, candidate.name) == ({"hall": "7"}, [])
    fleet("set", candidate.name, "--group", THING_GROUP)
    assert thing_of(cloud, candidate.name) == ({"hall": "7"}, [THING_GROUP])
    assert "does not list the group 'vault'" in fleet("set", candidate.name, "--group", "vault", code=1).err

    (listed,) = (each for each in fleet("list", "--json").json if each["name"] == candidate.name)
    assert (listed["state"], listed["fingerprint"]) == ("enrolled", candidate.fingerprint)

    fleet("block", candidate.name)
    assert set(cloud.certificates_of(candidate.name).values()) == {"INACTIVE"}
    assert cloud.enroll(candidate).status_code == 403

    fleet("unblock", candidate.name)
    assert set(cloud.certificates_of(candidate.name).values()) == {"ACTIVE"}
    assert issued(cloud.enroll(candidate, with_token=False)) == certificate

    assert "block it first" in fleet("remove", candidate.name, code=1).err
    fleet("block", candidate.name)
    fleet("remove", candidate.name)
    assert cloud.enroll(candidate, with_token=False).status_code == 401
    assert fleet("show", candidate.name, "--json").json["state"] == "removed"
    history = [each["what"] for each in fleet("history", candidate.name, "--json").json]
    assert history[:4] == ["invited", "claimed", "certificate signed", "enrolled"]
    assert history[-3:] == ["removed", "certificate deleted", "thing deleted"]


def test_a_key_that_was_allowed_enrolls_without_a_secret(fleet: Command, cloud: Cloud) -> None:
    candidate = Candidate(name=new_name())
    fleet("allow", candidate.name, "--key", candidate.fingerprint)
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate, with_token=False)))


def test_a_key_that_asked_and_was_approved_enrolls(fleet: Command, cloud: Cloud) -> None:
    candidate, other = Candidate(name=new_name()), Candidate(name=new_name())
    for each in (candidate, other):
        cloud.ledger.hold_for_approval(fingerprint=each.fingerprint, suggested_name=each.name, now=int(time.time()))
    waiting = {each["fingerprint"] for each in fleet("pending", "--json").json}
    assert {candidate.fingerprint, other.fingerprint} <= waiting
    fleet("approve", candidate.fingerprint, "--name", candidate.name)
    fleet("reject", other.fingerprint)
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate, with_token=False)))
    assert not {candidate.fingerprint, other.fingerprint} & {
        each["fingerprint"] for each in fleet("pending", "--json").json
    }


def test_an_audit_finds_what_somebody_changed_behind_the_ledger_s_back(fleet: Command, cloud: Cloud) -> None:
    candidate = cloud.invite(Candidate(name=new_name()))
    issued(cloud.enroll(candidate))
    (certificate,) = cloud.certificates_of(candidate.name)
    cloud.iot.update_certificate(certificateId=certificate, newStatus="INACTIVE")
    found = fleet("audit", "--json", code=1).json
    assert ("switched-off", candidate.name, certificate, False) in findings(found)
    fleet("audit", "--fix", code=None)  # other tests may have left what takes a person
    fleet("unblock", candidate.name)
    assert cloud.certificates_of(candidate.name) == {certificate: "ACTIVE"}


def test_a_reader_sees_everything_and_changes_nothing(fleet: Command, cloud: Cloud, sandbox: Any) -> None:
    reader = ensure_person(sandbox.boto("iam"), sandbox.outputs["ReaderPolicyArn"], user="reader")
    device = cloud.invite(Candidate(name=new_name()))
    issued(cloud.enroll(device))
    assert device.name in fleet("list", **reader).out
    assert fleet("show", device.name, "--json", **reader).json["state"] == "enrolled"
    for command in (["history", device.name], ["pending"]):
        fleet(*command, **reader)
    for command in (["audit"], ["audit", "--last"]):  # other tests may have left what it finds, or no run
        assert fleet(*command, code=None, **reader).code in (0, 1)
    before = cloud.everything(), ledger_items(sandbox)
    for command in (["invite", new_name()], ["block", device.name]):
        answer = fleet(*command, code=5, **reader)
        assert "the stack output OperatorPolicyArn" in answer.err
    assert (cloud.everything(), ledger_items(sandbox)) == before


def test_somebody_without_the_operator_s_policy_is_told_which_permission_is_missing(
    fleet: Command, sandbox: Any
) -> None:
    iam, name = sandbox.boto("iam"), new_name("nobody")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    answer = fleet("list", code=5, **credentials)
    assert answer.err.startswith("zymkey-fleet: AWS does not permit cloudformation:DescribeStacks")
    assert "the stack output ReaderPolicyArn" in answer.err
    assert "the stack output VerifierPolicyArn" in fleet("verify", code=5, **credentials).err


STEPS = [
    *("configuration", "refused-without-invitation", "enroll", "same-certificate-again", "https-publish"),
    *("https-refused-elsewhere", "mqtt-round-trip", "mqtt-refused-elsewhere"),
]


@pytest.mark.parametrize("issuer", ["kms", "aws", "external"], indirect=True)
def test_verify_proves_the_deployment_to_a_verifier_and_leaves_no_trace(
    fleet: Command, cloud: Cloud, sandbox: Any, issuer: str, example_ca: Sequence[object]
) -> None:
    before = cloud.everything(), ledger_items(sandbox)
    # The emulator registers nothing at a connection over HTTPS, however long one waits for it.
    hasty = replace(fleet, change="from fleet.smoke_test import first_connection as f; f._REGISTRATION_SECONDS = 4")
    verifier = ensure_person(sandbox.boto("iam"), sandbox.outputs["VerifierPolicyArn"], user="verifier")
    report = hasty("verify", "--json", *(example_ca if issuer == "external" else []), **verifier).json
    assert report["ok"] is True
    first_connection = ["first-connection"] if issuer == "external" else []
    credentials = ["credentials"] if "DeviceRoleArn" in cloud.outputs else []
    steps = [*STEPS, *credentials, "without-thing", *first_connection, "clean-up"]
    assert [each["step"] for each in report["steps"]] == steps
    observed = report["observations"]
    assert set(observed) | set(report["open"]) == set(QUESTIONS)
    assert observed["mqttWithoutThing"] == "connects"
    if credentials:
        assert observed["credentialsAnswer"].startswith("HTTP 200 until ")
        assert observed["credentialsInAnotherName"].startswith("HTTP 403 ")
    else:
        assert report["open"]["credentialsAnswer"] == "the setting credentials is not set"
    assert report["observations"]["wwwAuthenticateArrivesAs"] == "WWW-Authenticate"
    assert report["observations"]["httpsRefusal"].startswith("HTTP 403 ForbiddenException")
    if issuer == "aws":
        assert observed["csrSubjectIsKept"] in (True, False)
        assert observed["csrWholeSubjectIsKept"] in (True, False)
    else:
        assert observed["caCertificateMode"] in ("DEFAULT", "SNI_ONLY")
    if issuer == "external":
        assert observed["httpsRegistersAtFirstConnection"] == "PENDING_ACTIVATION"
        assert observed["httpsAnswersWhilePending"].startswith("HTTP 403")
        assert observed["mqttRegistersAtFirstConnection"] == "ACTIVE"
    assert (cloud.everything(), ledger_items(sandbox)) == before


def test_verify_that_fails_says_at_which_step(fleet: Command, cloud: Cloud, sandbox: Any) -> None:
    before = cloud.everything(), ledger_items(sandbox)
    answer = fleet("verify", "--json", code=1, ENROLLMENT_URL="https://127.0.0.1:9")
    assert answer.json["ok"] is False
    assert [(each["step"], each["ok"]) for each in answer.json["steps"]] == [
        ("configuration", False),
        ("clean-up", True),
    ]
    assert answer.json["steps"][0]["detail"].startswith("No answer from https://127.0.0.1:9/")
    assert (cloud.everything(), ledger_items(sandbox)) == before


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_verify_that_is_interrupted_leaves_no_trace_either(
    cloud: Cloud, sandbox: Any, environment: dict[str, str], interruption: signal.Signals
) -> None:
    before = cloud.everything(), ledger_items(sandbox)
    # Nobody listens there, so the publish is tried for a minute: time enough to interrupt it.
    stuck = {**environment, "IOT_HTTPS_PORT": "9"}
    command = ["zymkey-fleet", "verify", "--json"]
    process = subprocess.Popen(command, env=stuck, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(each.startswith("zymkey-fleet-verify-") for each in cloud.everything()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(interruption)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        130,
        "zymkey-fleet: interrupted.\nTry: run the same command again to complete it\n",
    )
    assert json.loads(out)["steps"][-1] | {"seconds": 0} == {
        "step": "clean-up",
        "ok": True,
        "seconds": 0,
        "detail": "nothing is left",
    }
    assert (cloud.everything(), ledger_items(sandbox)) == before


def test_verify_removes_what_a_laptop_left_that_went_dark(
    cloud: Cloud, sandbox: Any, environment: dict[str, str]
) -> None:
    before = cloud.everything(), ledger_items(sandbox)
    left = cloud.invite(Candidate(name=new_name("zymkey-fleet-verify")))
    issued(cloud.enroll(left))
    later = """
from fleet.smoke_test import traces
traces._LEFT_BEHIND_SECONDS = 0
from fleet.cli import main
raise SystemExit(main(["verify", "--json"]))
"""
    time.sleep(1)  # the ledger's times are whole seconds
    done = subprocess.run([sys.executable, "-c", later], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["steps"][-1]["detail"] == (
        "nothing is left; devices of interrupted smoke tests, removed too: 1"
    )
    assert (cloud.everything(), ledger_items(sandbox)) == before


@pytest.mark.parametrize("issuer", ["aws"], indirect=True)
def test_an_unfinished_certificate_of_amazon_s_is_found_and_deleted(cloud: Cloud, environment: dict[str, str]) -> None:
    candidate = Candidate(name=new_name())
    cloud.ledger.allow(candidate.name, fingerprint=candidate.fingerprint, by="test", now=int(time.time()))
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + candidate.csr + b"\n-----END CERTIFICATE REQUEST-----\n"
    lost = cloud.iot.create_certificate_from_csr(certificateSigningRequest=pem.decode(), setAsActive=True)
    at_once = """
from audit import judgement
judgement.MIN_AGE_SECONDS = 0
from fleet.cli import main
raise SystemExit(main(["audit", "--fix", "--json"]))
"""
    done = subprocess.run([sys.executable, "-c", at_once], env=environment, capture_output=True, text=True, timeout=120)
    found = findings(json.loads(done.stdout))
    assert ("unfinished", candidate.name, lost["certificateId"], True) in found, done.stderr
    assert lost["certificateId"] not in cloud.everything()


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_csr_waits_for_the_operator_s_signature(fleet: Command, cloud: Cloud, example_ca: Sequence[object]) -> None:
    candidate = cloud.invite(Candidate(name=new_name()))
    assert cloud.enroll(candidate).status_code == 202
    assert ("signature", candidate.name) in {
        (each["waitsFor"], each["name"]) for each in fleet("pending", "--json").json
    }
    (signed,) = fleet("sign", candidate.name, *example_ca, "--json").json
    assert signed["registered"] is True
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))
    assert candidate.name not in {each["name"] for each in fleet("pending", "--json").json}


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_ca_check_knows_the_registration_that_cloudformation_made(
    fleet: Command, cloud: Cloud, example_ca: Sequence[object]
) -> None:
    (registered,) = cloud.iot.list_ca_certificates()["certificates"]
    said = fleet("ca", "check", *example_ca[:2], code=1).err
    assert f"already: {registered['certificateId']}, ACTIVE, mode DEFAULT." in said
    tags = cloud.iot.list_tags_for_resource(resourceArn=registered["certificateArn"])["tags"]
    assert {"Key": "zymkey-fleet", "Value": cloud.outputs["Fleet"]} in tags


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_csr_is_signed_elsewhere_and_imported(
    fleet: Command, cloud: Cloud, example_ca: Sequence[object], tmp_path: Any
) -> None:
    candidate = cloud.invite(Candidate(name=new_name()))
    assert cloud.enroll(candidate).status_code == 202
    fleet("export", tmp_path / "exported")
    _, certificate, _, key, _, passphrase = example_ca
    signed = tmp_path / "signed"
    signed.mkdir()
    subprocess.run(
        [
            *("openssl", "x509", "-req", "-in", tmp_path / "exported" / f"{candidate.name}.csr"),
            *("-CA", certificate, "-CAkey", key, "-passin", f"file:{passphrase}", "-days", "30"),
            *("-out", signed / f"{candidate.name}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    (imported,) = fleet("import", signed, "--json").json
    assert (imported["name"], imported["registered"]) == (candidate.name, True)
    assert_enrolled(cloud, candidate, issued(cloud.enroll(candidate)))
    assert fleet("import", signed, "--json").json == [imported]  # to complete an interrupted one changes nothing
