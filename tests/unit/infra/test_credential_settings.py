"""The setting ``credentials``: what it takes, and the sentence for what it does not take."""

import re
from typing import Any

import pytest

from infra.credential_settings import CredentialSettings
from infra.policy_document import longest_length, policy_document
from infra.setting_readers import SettingsError
from infra.settings import Settings
from infra.topics import Topics

STATEMENT = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/${credentials-iot:ThingName}/*"}
DENIAL = {"Sid": "No", "Effect": "Deny", "NotAction": ["s3:*"], "NotResource": ["*"], "Condition": {"Bool": {"a": "b"}}}
MANAGED = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def read(credentials: Any, **others: Any) -> Settings:
    return Settings.from_context({"zymkey-fleet": {"credentials": credentials, **others}})


def test_without_it_devices_get_no_credentials() -> None:
    assert read(None).credentials is None


def test_statements_stay_as_they_are_written() -> None:
    assert read({"statements": [STATEMENT, DENIAL]}).credentials == CredentialSettings(statements=(STATEMENT, DENIAL))


def test_managed_policies_are_the_accounts_or_awss_in_any_partition() -> None:
    arns = [MANAGED, "arn:aws-us-gov:iam::123456789012:policy/team/readings"]
    settings = read({"managedPolicyArns": arns, "durationSeconds": 900}).credentials
    assert settings == CredentialSettings(managed_policy_arns=tuple(arns), duration_seconds=900)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("yes", 'credentials is "yes", but must be an object with statements, managedPolicyArns, durationSeconds.'),
        ({}, "credentials has neither statements nor managedPolicyArns, but must have one of them: without, devices"),
        ({"statements": []}, "credentials has neither statements nor managedPolicyArns"),
        ({"statement": [STATEMENT]}, "credentials.statement is not a setting; did you mean statements?"),
        ({"statements": STATEMENT}, "must be a list of IAM policy statements."),
        ({"statements": ["s3:*"]}, 'credentials.statements[0] is "s3:*", but must be an IAM policy statement'),
        ({"statements": [STATEMENT | {"Principal": "*"}]}, "credentials.statements[0].Principal cannot be used: a"),
        ({"statements": [STATEMENT | {"Effect": "allow"}]}, 'statements[0].Effect is "allow", but must be Allow or'),
        ({"statements": [{"Effect": "Allow", "Resource": "*"}]}, "statements[0] has no Action, but must have one of"),
        ({"statements": [STATEMENT | {"NotAction": "s3:*"}]}, "statements[0] has Action and NotAction, but must have"),
        ({"statements": [STATEMENT | {"Resource": []}]}, "statements[0].Resource is [], but must be a string or a"),
        ({"statements": [STATEMENT | {"Action": [7]}]}, "statements[0].Action is [7], but must be a string or a list"),
        ({"statements": [STATEMENT] * 200}, "credentials.statements makes a policy of "),
        ({"managedPolicyArns": MANAGED}, "must be a list of at most 10 ARNs of managed policies."),
        ({"managedPolicyArns": [f"{MANAGED}{n}" for n in range(11)]}, "must be a list of at most 10 ARNs"),
        ({"managedPolicyArns": ["AmazonS3ReadOnlyAccess"]}, 'managedPolicyArns[0] is "AmazonS3ReadOnlyAccess", but'),
        ({"managedPolicyArns": [MANAGED, MANAGED]}, 'credentials.managedPolicyArns has "arn:aws:iam::aws:policy/'),
        ({"statements": [STATEMENT], "durationSeconds": 899}, "durationSeconds is 899, but must be a whole number fr"),
        ({"statements": [STATEMENT], "durationSeconds": 43201}, "must be a whole number from 900 to 43200."),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(value: Any, sentence: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)) as refused:
        read(value)
    assert str(refused.value).startswith("zymkey-fleet.credentials")
    assert str(refused.value).endswith((".", "?"))


def test_the_iot_policy_has_to_hold_the_topics_and_the_credentials() -> None:
    """Topics that just fit, and no longer do when the credentials' statement is added."""
    topics = next(
        Topics(publish=("{device}/" + "x" * length,), subscribe=("{device}",))
        for length in range(400, 0, -1)
        if longest_length(Topics(publish=("{device}/" + "x" * length,), subscribe=("{device}",))) <= 2048
    )
    written = {"publish": list(topics.publish), "subscribe": list(topics.subscribe)}
    assert read(None, topics=written).topics == topics
    with pytest.raises(SettingsError, match=r"topics with zymkey-fleet\.credentials makes an IoT policy of up to "):
        read({"statements": [STATEMENT]}, topics=written)


def test_the_statement_is_counted_as_it_is_written() -> None:
    topics = Topics()
    longer = longest_length(topics, role_alias="zymkey-device") - longest_length(topics)
    (statement,) = policy_document(
        topics, prefix="arn:aws-us-gov:iot:ap-southeast-1:000000000000", role_alias="zymkey-device"
    )["Statement"][-1:]
    assert longer == len(str(statement).replace(" ", "")) + 1
