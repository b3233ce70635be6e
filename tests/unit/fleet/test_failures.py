"""A command that cannot do its work says why, in whose hands it is, and what to try next: never a stack trace."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, SSOTokenLoadError, UnauthorizedSSOTokenError

from fleet.cli import COMMANDS
from fleet.errors import FleetError, NoCredentials, NotPermitted, Unreachable
from fleet.failures import explained
from ledger import Busy

COMMAND = Path(__file__).parents[3] / "bin" / "zymkey-fleet"


def test_help_lists_the_commands_and_the_exit_codes(run):
    answer = run("--help")
    assert answer.code == 0
    for word in [*COMMANDS, "exit codes:", "no AWS credentials", "AWS does not permit it"]:
        assert word in answer.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    answer = run(command, "--help")
    assert answer.code == 0
    assert f"usage: zymkey-fleet {command}" in answer.out


def test_a_stack_that_is_not_there(run, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET", "no-such-fleet")
    answer = run("list")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == (
        "zymkey-fleet: There is no stack no-such-fleet-Enrollment in Region us-east-1 of this account. Deploy it with "
        "`cdk deploy --all`, or choose with --fleet, --region and --profile.\n"
    )


def test_a_stack_that_was_not_deployed_to_its_end(run, aws):
    template = {"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    aws("cloudformation").create_stack(StackName="half-Enrollment", TemplateBody=json.dumps(template))
    answer = run("list", "--fleet", "half")
    assert answer.code == 3
    assert "half-Enrollment is CREATE_COMPLETE and lacks the output EnrollmentUrl" in answer.err


def test_no_credentials(run, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    answer = run("list")
    assert answer.code == 4
    assert answer.err.startswith("zymkey-fleet: No AWS credentials were found. Log in again (`aws sso login`")


def test_no_such_profile(run):
    answer = run("list", "--profile", "nobody")
    assert answer.code == 4
    assert "profile (nobody) could not be found" in answer.err


def test_no_region(run, monkeypatch):
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    answer = run("list")
    assert answer.code == 3
    assert "Say --region" in answer.err


def test_no_network(run, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
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
    assert str(explanation).startswith(
        "AWS does not permit iot:UpdateCertificate on arn:aws:iot:us-east-1:123456789012:cert/abc. Ask an administrator"
    )
    assert "OperatorPolicyArn" in str(explanation)


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
    assert "aws sso login" in str(explanation)


@pytest.mark.parametrize("error", [client_error("ThrottlingException"), Busy(7)])
def test_what_passes_by_itself_says_to_try_again(error):
    explanation = explain(error)
    assert isinstance(explanation, Unreachable)
    assert "try again in" in str(explanation)


def test_what_nobody_foresaw_is_shown_in_aws_s_own_words():
    assert str(explain(client_error("Odd", "No idea."))) == "AWS answered UpdateCertificate with Odd: No idea."


def test_a_mistake_of_ours_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError), explained():
        raise ZeroDivisionError


def test_the_command_runs_from_any_folder_and_survives_a_reader_that_leaves(tmp_path):
    process = subprocess.Popen(
        [COMMAND, "--help"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("usage: zymkey-fleet")
    process.stdout.close()
    assert process.wait(timeout=30) == 0
