"""`uninvited: approve`: a device that nobody invited asks, both sides see one fingerprint, the operator decides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cloud.commands import Command, RaspberryPi, interrupt, operator
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.fault_proxy import configure, http_api_function
from tests.support.cloud.running_sandbox import RunningSandbox


@pytest.fixture(scope="module")
def asking_is_allowed(sandbox: RunningSandbox) -> Iterator[None]:
    """What a deployment with that setting is: one variable of the deployed function (tests/template holds that)."""
    functions = sandbox.boto("lambda")
    function = http_api_function(sandbox.boto("cloudformation"), functions, "zymkey-Enrollment")
    variables = function["Environment"]["Variables"]
    assert variables["UNINVITED"] == "refuse"
    configure(functions, function, {**variables, "UNINVITED": "approve"})
    yield
    configure(functions, function, variables)


@pytest.fixture
def fleet(sandbox: RunningSandbox, asking_is_allowed: None) -> Command:
    return operator(sandbox.env)


@pytest.fixture
def pi(sandbox: RunningSandbox, tmp_path: Path) -> RaspberryPi:
    return RaspberryPi(new_name(), sandbox.env, tmp_path)


def waiting(fleet: Command) -> dict[str, str]:
    """The keys that wait for an approval, and what they call themselves."""
    return {each["fingerprint"]: each["name"] for each in fleet("pending", "--json").json}


def test_a_device_asks_waits_and_is_in_once_its_key_is_approved(
    sandbox: RunningSandbox, fleet: Command, pi: RaspberryPi
) -> None:
    bootstrap = pi.zymkey_iot.start("bootstrap")
    assert bootstrap.stdout is not None
    progress = next(line for line in bootstrap.stdout if "Again in" in line)
    assert f"The key {pi.fingerprint} waits for the operator's approval" in progress
    interrupt(bootstrap)
    before = Cloud(sandbox).everything()
    asked_again = pi.zymkey_iot("bootstrap", "--give-up-after", "1s", code=7)
    assert pi.fingerprint in asked_again.err
    assert waiting(fleet)[pi.fingerprint] == pi.name
    assert Cloud(sandbox).everything() == before

    fleet("approve", pi.fingerprint, "--name", pi.name)

    assert pi.fingerprint not in waiting(fleet)
    assert f"{pi.name} is on AWS IoT" in pi.zymkey_iot("wait").out
    history = [each["what"] for each in fleet("history", pi.name, "--json").json]
    assert (history[0], history[-1]) == ("approved", "enrolled")


def test_a_key_that_is_rejected_is_told_so_and_stays_out(fleet: Command, pi: RaspberryPi) -> None:
    pi.zymkey_iot("bootstrap", "--give-up-after", "1s", code=7)

    fleet("reject", pi.fingerprint)

    refused = pi.zymkey_iot("bootstrap", code=6)
    assert "rejected" in refused.err
    assert pi.fingerprint not in waiting(fleet)


def test_a_device_that_was_approved_under_another_name_is_told_which(fleet: Command, pi: RaspberryPi) -> None:
    pi.zymkey_iot("bootstrap", "--give-up-after", "1s", code=7)
    other = new_name()
    fleet("approve", pi.fingerprint, "--name", other)

    refused = pi.zymkey_iot("bootstrap", code=6)

    assert f"the device's name is {other!r}" in refused.err
    pi.zymkey_iot("bootstrap", "--name", other)
    assert f"name         {other}" in pi.zymkey_iot("status", ZYMKEY_IOT_NAME="").out


def test_an_invitation_works_as_ever(fleet: Command, pi: RaspberryPi) -> None:
    token = fleet("invite", pi.name, "--json").json["token"]

    pi.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=token)

    assert pi.fingerprint not in waiting(fleet)
