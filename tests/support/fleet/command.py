"""The operator's command in the test's own process."""

from functools import cache

import pytest
from botocore.loaders import create_loader

from fleet.cli import main
from tests.support.answer import Answer
from tests.support.emulator import CREDENTIALS


@pytest.fixture(scope="session", autouse=True)
def sdk_models_are_read_once():
    """Each command makes a session of its own, which would read the services' models again: 0.1 s each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture
def operator_environment(aws_address, monkeypatch, tmp_path):
    """An operator with credentials, on a machine without AWS configuration."""
    for name in ("AWS_PROFILE", "ENROLLMENT_URL", "ZYMKEY_FLEET", "CA_BUNDLE", "AWS_CA_BUNDLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    values = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": aws_address,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(operator_environment, capsys):
    """A function that runs one command, by its words."""

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as usage:  # argparse: --help, or a wrong command line
            code = usage.code
        return Answer(code=code, **capsys.readouterr()._asdict())

    return run
