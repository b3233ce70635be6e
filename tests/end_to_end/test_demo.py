"""`make demo` tells the whole story, says how it went, and exits accordingly."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import demo, lifecycle
from sandbox.demo import run_demo, steps_of
from sandbox.zymkey.build import CannotBuild
from tests.support.cloud.running_sandbox import RunningSandbox


def written(sandbox: RunningSandbox) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((sandbox.addresses.directory.parent / "demo.json").read_text())
    return document


@pytest.mark.parametrize("issuer", ["kms", "aws", "external"], indirect=True)
def test_every_step_goes_as_it_must_with_the_hsm(sandbox: RunningSandbox) -> None:
    assert run_demo(sandbox.addresses, sandbox.issuer)
    story = written(sandbox)
    assert story["ok"]
    assert story["issuer"] == sandbox.issuer
    assert story["key"] == "zymkey:"
    assert story["fingerprint"].startswith("SHA256:")
    assert [step["name"] for step in story["steps"]] == list(steps_of(sandbox.issuer))
    costs = {step["name"]: step["signatures"] for step in story["steps"]}
    assert (costs["bootstrap"], costs["own-topic"], costs["again"]) == (2, 1, 1)
    assert costs.get("ask", 1) == 1
    assert story["hsmSignatures"] == sum(cost for cost in costs.values() if cost)
    certificate = sandbox.boto("iot").describe_certificate(certificateId=story["certificateId"])
    assert certificate["certificateDescription"]["status"] == "ACTIVE"


def test_without_a_simulated_zymkey_it_says_so_and_uses_a_file(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cannot() -> None:
        raise CannotBuild("There is no C compiler here.")

    monkeypatch.setattr(lifecycle, "build", cannot)
    assert run_demo(sandbox.addresses, sandbox.issuer)
    assert "simulated Zymkey: none. There is no C compiler here." in capsys.readouterr().out
    story = written(sandbox)
    assert story["key"].startswith("file:")
    assert story["hsmSignatures"] is None


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


def test_the_token_is_never_shown(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[dict[str, Any]] = []
    run = demo._run

    def remember(*arguments: Any, **options: Any) -> dict[str, Any]:
        seen.append(run(*arguments, **options))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_run", remember)
        run_demo(sandbox.addresses, sandbox.issuer)
    token = next(reply["token"] for reply in seen if "token" in reply)
    assert token not in capsys.readouterr().out
    assert token not in json.dumps(written(sandbox))
    assert not any(token in file.read_text(errors="replace") for file in _logs(sandbox.addresses.directory))


def _logs(directory: Path) -> list[Path]:
    return list(directory.glob("*.log"))
