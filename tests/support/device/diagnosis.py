"""What doctor found, from its JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from device.cli import main


@dataclass(frozen=True)
class Diagnosis:
    code: int
    document: dict[str, Any]

    @property
    def checks(self) -> dict[str, dict[str, Any]]:
        return {check["id"]: check for check in self.document["checks"]}

    def status(self, check: str) -> str:
        return str(self.checks[check]["status"])

    def text(self, check: str) -> str:
        return str(self.checks[check]["text"])

    def cure(self, check: str) -> str:
        return str(self.checks[check]["try"])


# From options and variables to what doctor finds.
Diagnose = Callable[..., Diagnosis]


def diagnose_in_this_process(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Diagnose:
    """Ten times as fast as a process of its own. `environment` is looked at when doctor is run."""

    def run(*options: str, **variables: str) -> Diagnosis:
        with monkeypatch.context() as patch:
            for variable, value in {**environment, **variables}.items():
                patch.setenv(variable, value)
            capsys.readouterr()
            code = main(["doctor", "--json", *options])
            return Diagnosis(code, json.loads(capsys.readouterr().out))

    return run
