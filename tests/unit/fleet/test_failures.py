"""What AWS and the ledger refuse: a cause, and a cure that says what to try next."""

import json
import re

import pytest
from botocore.exceptions import ClientError, InvalidRegionError, SSOTokenLoadError, UnauthorizedSSOTokenError

from fleet.errors import (
    FleetError,
    NoCredentials,
    NotPermitted,
    Refused,
    SdkFailed,
    UnexpectedReply,
    Unreachable,
    WrongClock,
)
from fleet.failures import explained
from fleet.roles import running
from ledger import Busy, WrongState


def test_a_stack_that_is_not_there(run, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET", "no-such-fleet")
    answer = run("list")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == (
        "zymkey-fleet: There is no stack no-such-fleet-Enrollment in Region us-east-1 of this account.\n"
        "Try: cdk deploy --all, or choose another deployment with --fleet, --region and --profile\n"
    )


def test_a_stack_that_was_not_deployed_to_its_end(run, aws):
    template = {"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    aws("cloudformation").create_stack(StackName="half-Enrollment", TemplateBody=json.dumps(template))
    answer = run("list", "--fleet", "half")
    assert answer.code == 3
    assert "half-Enrollment is CREATE_COMPLETE and lacks the output EnrollmentUrl.\nTry: cdk deploy --all" in answer.err


def test_no_credentials(run, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    answer = run("list")
    assert answer.code == 4
    assert answer.err.startswith("zymkey-fleet: There are no AWS credentials.\nTry: log in again (`aws sso login`")


def test_no_such_profile(run):
    answer = run("list", "--profile", "nobody")
    assert answer.code == 4
    assert "profile (nobody) could not be found" in answer.err


def test_no_region(run, monkeypatch):
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    answer = run("list")
    assert answer.code == 3
    assert "Try: add --region REGION" in answer.err


def test_no_network(run, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the SDK's tries
    answer = run("list")
    assert answer.code == 6
    assert answer.err.startswith("zymkey-fleet: No answer from AWS: ")


def explain(error):
    with pytest.raises(FleetError) as explanation, explained():
        raise error
    return explanation.value


def client_error(code, message="", operation="UpdateCertificate"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def test_a_denial_names_the_action_and_the_resource():
    error = client_error(
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: iot:UpdateCertificate on resource: "
        "arn:aws:iot:us-east-1:123456789012:cert/abc because no identity-based policy allows it",
    )
    explanation = explain(error)
    assert isinstance(explanation, NotPermitted)
    assert (
        explanation.cause == "AWS does not permit iot:UpdateCertificate on arn:aws:iot:us-east-1:123456789012:cert/abc."
    )
    assert explanation.cure.startswith("ask an administrator")
    assert "the stack output OperatorPolicyArn, which permits" in explanation.cure


@pytest.mark.parametrize(
    ("command", "operation", "policies"),
    [
        ("list", "Query", ["ReaderPolicyArn", "OperatorPolicyArn"]),
        ("audit", "ListCertificates", ["ReaderPolicyArn", "OperatorPolicyArn"]),
        ("audit", "UpdateCertificate", ["OperatorPolicyArn"]),
        ("invite", "TransactWriteItems", ["OperatorPolicyArn"]),
        ("verify", "TransactWriteItems", ["VerifierPolicyArn", "OperatorPolicyArn"]),
        ("adopt", "ListTables", []),
    ],
)
def test_a_denial_names_the_smallest_managed_policy_that_permits_the_command(command, operation, policies):
    with running(command):
        cure = explain(ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, operation)).cure
    assert re.findall(r"\w+PolicyArn", cure) == policies


def test_a_denial_that_says_nothing_names_the_call():
    assert "AWS does not permit UpdateCertificate." in str(explain(client_error("UnauthorizedException")))


@pytest.mark.parametrize(
    "error",
    [
        client_error("ExpiredToken"),
        client_error("ExpiredTokenException"),
        UnauthorizedSSOTokenError(),
        SSOTokenLoadError(error_msg="none"),
    ],
)
def test_an_expired_session(error):
    explanation = explain(error)
    assert isinstance(explanation, NoCredentials)
    assert "expired" in str(explanation)
    assert "aws sso login" in explanation.cure


@pytest.mark.parametrize("error", [client_error("ThrottlingException"), Busy(7)])
def test_what_passes_by_itself_says_to_try_again(error):
    explanation = explain(error)
    assert isinstance(explanation, Unreachable)
    assert explanation.cure.startswith("run the same command again in ")


def test_an_unknown_answer_is_shown_in_aws_s_own_words():
    explanation = explain(client_error("Odd", "No idea."))
    assert isinstance(explanation, UnexpectedReply)
    assert explanation.cause == "AWS answered UpdateCertificate with Odd: No idea."


def test_a_setting_that_the_sdk_cannot_use_is_told_from_an_answer_of_aws():
    explanation = explain(InvalidRegionError(region_name="us east"))
    assert isinstance(explanation, SdkFailed)
    assert "us east" in explanation.cause
    assert "--region" in explanation.cure


def test_a_refusal_of_the_ledger_has_the_cure_of_the_command_that_asked():
    with pytest.raises(Refused) as refused, explained(if_refused="zymkey-fleet list"):
        raise WrongState("There is no device 'pi-7'.")
    assert (refused.value.cause, refused.value.cure) == ("There is no device 'pi-7'.", "zymkey-fleet list")
    assert refused.value.in_one_line == "There is no device 'pi-7'. Try: zymkey-fleet list"


def test_a_defect_of_ours_stays_what_it_is():
    with pytest.raises(ZeroDivisionError), explained():
        raise ZeroDivisionError


CLOCK = "Signature expired: 20261125T100000Z is now earlier than 20261125T101500Z (20261125T103000Z - 15 min.)"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SignatureDoesNotMatch", CLOCK),
        ("InvalidSignatureException", CLOCK.replace("expired", "not yet current")),
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        ("RequestExpired", "Request has expired."),
        ("RequestInTheFuture", ""),
    ],
)
def test_a_wrong_clock_is_not_told_as_wrong_credentials(code, message):
    error = client_error(code, message)
    error.response["ResponseMetadata"] = {"HTTPHeaders": {"date": "Wed, 25 Nov 2026 10:30:00 GMT"}}
    explanation = explain(error)
    assert isinstance(explanation, WrongClock)
    assert explanation.cause.startswith("This machine's clock is wrong")
    assert explanation.cause.endswith(" UTC, AWS says Wed, 25 Nov 2026 10:30:00 GMT.")
    assert "set the clock" in explanation.cure
    assert "log in" not in explanation.in_one_line


def test_a_signature_that_a_good_clock_made_is_one_of_wrong_credentials():
    message = "The request signature we calculated does not match the signature you provided."
    assert isinstance(explain(client_error("SignatureDoesNotMatch", message)), NoCredentials)
