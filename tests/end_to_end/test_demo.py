"""`make demo` tells the whole story, says how it went, and exits accordingly."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox import demo, lifecycle
from sandbox.addresses import REPOSITORY, Addresses
from sandbox.demo import run_demo, steps_of
from sandbox.zymkey.build import CannotBuild
from tests.support.cloud.running_sandbox import RunningSandbox
from tests.support.device.preload import without_rights


def written(sandbox: RunningSandbox) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((sandbox.addresses.directory.parent / "demo.json").read_text())
    return document


# That of kms is what a newcomer runs, and so does the gate, beside this suite.
@pytest.mark.parametrize("issuer", [pytest.param("kms", marks=pytest.mark.slow), "aws", "external"], indirect=True)
def test_from_nothing_and_without_roots_rights_every_step_goes_as_it_must_with_the_hsm(
    issuer: str, unstarted: Addresses, request: pytest.FixtureRequest
) -> None:
    done = without_root([sys.executable, "-m", "sandbox", "demo", "--issuer", issuer], unstarted)
    assert done.returncode == 0, done.stdout + done.stderr
    sandbox: RunningSandbox = request.getfixturevalue("sandbox")  # what the demonstration started
    story = written(sandbox)
    assert story["ok"]
    assert story["issuer"] == sandbox.issuer
    assert story["key"] == "zymkey:"
    assert story["fingerprint"].startswith("SHA256:")
    assert [step["name"] for step in story["steps"]] == list(steps_of(sandbox.issuer))
    costs = {step["name"]: step["signatures"] for step in story["steps"]}
    # The CSR that waited for the CA elsewhere was signed a step before, and is kept.
    assert (costs["bootstrap"], costs["own-topic"], costs["again"]) == (1 if issuer == "external" else 2, 1, 1)
    assert costs.get("ask", 1) == 1
    assert story["hsmSignatures"] == sum(cost for cost in costs.values() if cost)
    certificate = sandbox.boto("iot").describe_certificate(certificateId=story["certificateId"])
    assert certificate["certificateDescription"]["status"] == "ACTIVE"


def test_without_roots_rights_nothing_is_left_of_them(unstarted: Addresses) -> None:
    assert "CapEff:\t0000000000000000\n" in without_root(["cat", "/proc/self/status"], unstarted).stdout


def without_root(command: list[str], addresses: Addresses) -> subprocess.CompletedProcess[str]:
    """Run `command` as an ordinary account would, also where the tests run as root."""
    environment = {**os.environ, **addresses.to_environment()}
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        preexec_fn=without_rights,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What one printed, what it wrote to demo.json, and the token that it got from the operator's command."""

    output: str
    story: dict[str, Any]
    token: str


@pytest.fixture(scope="module")
def without_zymkey(sandbox: RunningSandbox) -> Demonstration:
    """A demonstration where no Zymkey can be simulated."""
    replies: list[Any] = []
    run = demo._run

    def cannot_build() -> None:
        raise CannotBuild("There is no C compiler here.")

    def remember(*arguments: Any, **options: Any) -> Any:
        replies.append(run(*arguments, **options))
        return replies[-1]

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output:
        patch.setattr(lifecycle, "build", cannot_build)
        patch.setattr(demo, "_run", remember)
        assert run_demo(sandbox.addresses, sandbox.issuer), output.getvalue()
    token = next(reply["token"] for reply in replies if "token" in reply)
    return Demonstration(output=output.getvalue(), story=written(sandbox), token=token)


def test_without_a_simulated_zymkey_it_says_so_and_uses_a_file(without_zymkey: Demonstration) -> None:
    assert "simulated Zymkey: none. There is no C compiler here." in without_zymkey.output
    assert without_zymkey.story["key"].startswith("file:")
    assert without_zymkey.story["hsmSignatures"] is None


def test_the_token_is_never_shown(without_zymkey: Demonstration, sandbox: RunningSandbox) -> None:
    assert without_zymkey.token not in without_zymkey.output
    assert without_zymkey.token not in json.dumps(without_zymkey.story)
    logs = list(sandbox.addresses.directory.glob("*.log"))
    assert logs
    assert not any(without_zymkey.token in log.read_text(errors="replace") for log in logs)


def test_a_step_that_goes_wrong_is_named_and_is_a_failure(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "TOPIC_DENIED", 0)
    assert not run_demo(sandbox.addresses, sandbox.issuer)
    assert "ended with 10 and not with 0" in capsys.readouterr().out
    story = written(sandbox)
    assert not story["ok"]
    failed = {step["name"] for step in story["steps"] if not step["ok"]}
    assert failed == {"other-topic", "mqtt", "again", "lost-files"}
