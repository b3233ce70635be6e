"""The four entries as Lambda starts them: by the name and with the environment that the template gives."""

import importlib.util
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.log import log
from functions.superseded import DAY
from tests.support.aws_fleet import Candidate, assert_enrolled
from tests.support.aws_functions import ENROLL, api_event, issued, life_of, pem, reply_of
from tests.support.emulator import CREDENTIALS

SNAPSHOTS = Path(__file__).parents[2] / "template" / "snapshots"


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about itself."""

    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.fixture
def start(aws_address, monkeypatch):
    """A function that starts one of a deployment's functions, and returns what Lambda calls with an event."""

    def start(fleet, stack, entry):
        template = json.loads((SNAPSHOTS / f"{fleet.issuer}-{stack}.json").read_text())
        functions = (each["Properties"] for each in template["Resources"].values() if "Handler" in each["Properties"])
        name = f"functions.handlers.{entry}.handler"
        (variables,) = (each["Environment"]["Variables"] for each in functions if each["Handler"] == name)
        made = {  # what the template refers to, and what differs from fleet to fleet
            "LEDGER_TABLE": fleet.choices.ledger_table,
            "IOT_POLICY": fleet.iot_policy,
            "CA_CERTIFICATES": pem(*fleet.choices.ca_certificates).decode(),
            "CA_KEY_ARN": fleet.choices.ca_key_arn,
        }
        environment = {**variables, **{key: value for key, value in made.items() if key in variables}}
        environment |= {"AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_ENDPOINT_URL": aws_address}
        environment |= {**CREDENTIALS, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        handler = entry_module(entry).handler
        return lambda event: handler(event, Context())

    yield start
    log.clear_state()


def entry_module(entry):
    """The module of an entry, imported anew, as a function's start does."""
    module = importlib.util.module_from_spec(importlib.util.find_spec(f"functions.handlers.{entry}"))
    module.__spec__.loader.exec_module(module)
    return module


def test_the_http_api_enrolls(start, fleet):
    candidate = fleet.invite(Candidate())
    event = api_event(f"POST {ENROLL}", candidate.csr, credentials=(candidate.name, candidate.token))
    reply = reply_of(start(fleet, "enrollment", "http_api")(event))
    assert_enrolled(fleet, candidate, issued(reply))


def test_what_is_counted_has_the_name_that_the_alarms_ask_for(start, fleet, monkeypatch):
    stream = io.StringIO()
    handler = start(fleet, "enrollment", "http_api")
    monkeypatch.setattr(log, "stream", stream)
    candidate = fleet.invite(Candidate())
    handler(api_event(f"POST {ENROLL}", candidate.csr, credentials=(candidate.name, candidate.token)))
    handler(api_event(f"POST {ENROLL}", b"nonsense"))
    metrics = [line for line in map(json.loads, stream.getvalue().splitlines()) if "_aws" in line]
    assert [(line["Fleet"], line.get("Reason")) for line in metrics] == [("zymkey", None), ("zymkey", "CsrError")]
    template = json.loads((SNAPSHOTS / f"{fleet.issuer}-enrollment.json").read_text())
    alarms = [each["Properties"] for each in template["Resources"].values() if "AlarmDescription" in each["Properties"]]
    asked = {json.dumps(each["Dimensions"]) for each in alarms if each["Namespace"] == "ZymkeyFleet"}
    assert json.dumps([{"Name": "Fleet", "Value": "zymkey"}]) in asked


def test_the_sweep_switches_a_superseded_certificate_off(start, fleet):
    candidate = fleet.invite(Candidate())
    old = issued(fleet.enroll(candidate))
    new = issued(fleet.enroll(candidate, later=int(life_of(old) * 0.7)))
    sweep = start(fleet, "enrollment", "superseded")
    boto3.client("dynamodb").update_item(  # its clock is the real one
        TableName=fleet.choices.ledger_table,
        Key={"pk": {"S": f"device#{candidate.name}"}, "sk": {"S": "device"}},
        UpdateExpression="SET superseded_at = :then",
        ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 8 * DAY)}},
    )
    assert sweep({}) == 1
    assert (fleet.status_of(old), fleet.status_of(new)) == ("INACTIVE", "ACTIVE")


@pytest.mark.parametrize(
    ("event", "reports"),
    [({}, True), ({"time": "2026-11-25T00:59:03Z"}, True), ({"time": "2026-11-25T01:59:03Z"}, False)],
)
def test_the_sweep_reports_once_a_day_and_when_it_is_run_by_hand(start, fleet, monkeypatch, event, reports):
    """A metric is charged for each hour in which something is counted."""
    stream = io.StringIO()
    monkeypatch.setattr(log, "stream", stream)
    assert start(fleet, "enrollment", "superseded")(event) == 0
    assert ("certificates that run out" in stream.getvalue()) is reports


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
def test_a_first_connection_lets_a_known_key_in(start, fleet, authority):
    candidate = fleet.allow(Candidate())
    certificate = authority.sign(candidate)
    reply = fleet.iot.register_certificate(
        certificatePem=pem(certificate).decode(),
        caCertificatePem=pem(authority.certificate).decode(),
        status="INACTIVE",
    )
    fleet.iot.update_certificate(certificateId=reply["certificateId"], newStatus="PENDING_ACTIVATION")
    event = {"certificateId": reply["certificateId"], "certificateStatus": "PENDING_ACTIVATION"}
    assert start(fleet, "enrollment", "first_connection")(event) == "admitted"
    assert_enrolled(fleet, candidate, certificate)


def test_the_custom_resource_makes_a_ca(start, fleet, aws):
    key = aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    properties = {"Name": "2", "KeyArn": key, "CommonName": "CA", "Organization": "", "ValidityYears": "10"}
    answer = start(fleet, "trust", "certificate_authority")({"RequestType": "Create", "ResourceProperties": properties})
    assert answer["PhysicalResourceId"] == "certificate-authority/2"
    assert fleet.ledger.certificate_authority(key).certificate_pem == answer["Data"]["CertificatePem"]


def test_a_failing_sweep_raises_so_that_lambda_tries_it_again(start, fleet):
    sweep = start(fleet, "enrollment", "superseded")
    boto3.client("dynamodb").delete_table(TableName=fleet.choices.ledger_table)
    with pytest.raises(ClientError):
        sweep({})


@pytest.mark.parametrize("entry", ["http_api", "first_connection", "superseded"])
def test_outside_of_lambda_an_entry_connects_to_nothing(entry, monkeypatch):
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    monkeypatch.setattr("functions.deployment.Deployment.connect", lambda environment: pytest.fail("connects"))
    with pytest.raises(RuntimeError, match="in Lambda only"):
        entry_module(entry).handler({}, Context())
