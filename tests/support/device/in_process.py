"""The device's command in this process: for tests that change what it does, or where it would take long."""

import subprocess
from collections.abc import Callable

import pytest

from device.cli import main
from tests.support.device.pi import Pi

# From words and variables to what the command said.
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def zymkey_iot(pi: Pi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`zymkey-iot` on `pi`, whose environment is looked at when the command is run."""

    def run(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        with monkeypatch.context() as patch:
            for variable, value in {**pi.environment, **variables}.items():
                patch.setenv(variable, value)
            capsys.readouterr()
            code = main(list(words))
            printed = capsys.readouterr()
            return subprocess.CompletedProcess(words, code, printed.out, printed.err)

    return run
