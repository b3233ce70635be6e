"""Each exception of the AWS SDK has a sentence and an exit code: a class that the SDK adds is missed here."""

import inspect
import re
from inspect import signature

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, HTTPClientError, MissingDependencyException

from fleet.errors import Defect, FleetError, NoCredentials, NoDeployment, SdkFailed, Unreachable
from fleet.failures import explained
from fleet.sdk_errors import EXPLANATIONS, explain_sdk_error

CLASSES = {
    name: each
    for name, each in vars(botocore.exceptions).items()
    if inspect.isclass(each) and issubclass(each, BotoCoreError)
}
# Not of that family: AWS's answers, which fleet.failures explains, and what is no failure of a call.
OTHERS = {"ClientError", "EventStreamError", "UndefinedModelAttributeError", "MissingServiceIdError"}


def made(cls):
    """An instance with a word for each part of its text."""
    parts = set(re.findall(r"{(\w+)", getattr(cls, "fmt", ""))) | {"last_response"} & set(signature(cls).parameters)
    return cls(**dict.fromkeys(parts, "something"))


def test_every_exception_of_the_sdk_is_in_the_table_and_no_other():
    assert set(CLASSES) == set(EXPLANATIONS)
    exceptions = {
        name
        for name, each in vars(botocore.exceptions).items()
        if inspect.isclass(each)
        and issubclass(each, Exception)
        and not issubclass(each, Warning)
        and each.__module__ == "botocore.exceptions"
    }
    assert exceptions - set(CLASSES) == OTHERS


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda cls: cls.__name__)
def test_each_has_a_sentence_and_a_cure(cls):
    with pytest.raises(FleetError) as told, explained():
        raise made(cls)
    error = told.value
    assert re.fullmatch(r"[A-Zt][^\n]*[^.]\.", error.cause)
    assert error.cure
    assert not error.cure.endswith(".")
    assert "pip install" not in error.in_one_line
    assert isinstance(error, Defect | NoCredentials | NoDeployment | SdkFailed | Unreachable)


def test_a_class_that_a_newer_sdk_has_is_a_setting_that_the_sdk_names():
    class Newer(BotoCoreError):
        fmt = "A setting {name} is new"

    told = explain_sdk_error(Newer(name="x"))
    assert type(told) is SdkFailed
    assert told.cause == "The AWS SDK cannot make the request: A setting x is new."


def test_what_the_sdk_would_have_installed_is_got_without_it():
    told = explain_sdk_error(
        MissingDependencyException(
            msg="Using the login credential provider requires an additional dependency. You will need to pip install "
            '"botocore[crt]" before proceeding.'
        )
    )
    assert told.exit_code == 4
    assert "aws configure export-credentials" in told.cure


def test_a_header_that_cannot_be_sent_is_not_quoted():
    told = explain_sdk_error(HTTPClientError(error=ValueError("Invalid header value b'top secret\\nvalue'")))
    assert told.exit_code == 4
    assert "top secret" not in told.in_one_line
