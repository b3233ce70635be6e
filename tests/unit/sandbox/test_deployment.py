"""When the sandbox deploys again: when what is deployed, or how, has changed, and not otherwise."""

import json
from pathlib import Path

import pytest

from sandbox.deployment import (
    Deployment,
    current_deployment,
    deployment_digest,
    forget_deployment,
    record_deployment,
    settings_for,
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("app.py", "cdk.json", "functions/handlers/http_api.py", "ledger/ledger.py", "docs/read.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


KMS = settings_for("kms", None)


@pytest.mark.parametrize("name", ["app.py", "cdk.json", "functions/handlers/http_api.py", "functions/new.py"])
def test_a_changed_or_new_source_is_a_reason(repository: Path, name: str) -> None:
    before = deployment_digest(KMS, repository)
    (repository / name).write_text("after")
    assert deployment_digest(KMS, repository) != before


def test_what_is_not_deployed_is_no_reason(repository: Path) -> None:
    before = deployment_digest(KMS, repository)
    (repository / "docs/read.py").write_text("after")
    assert deployment_digest(KMS, repository) == before


def test_another_issuer_is_a_reason(repository: Path) -> None:
    assert deployment_digest(settings_for("aws", None), repository) != deployment_digest(KMS, repository)


def test_another_ca_in_the_same_file_is_a_reason(repository: Path) -> None:
    certificate = repository / "ca.crt"
    settings = {**KMS, "externalCertificateAuthority": json.dumps({"certificate": str(certificate)})}
    certificate.write_text("one")
    before = deployment_digest(settings)
    certificate.write_text("another")
    assert deployment_digest(settings) != before


def test_a_deployment_is_remembered_until_it_is_forgotten(tmp_path: Path) -> None:
    made = Deployment(digest="d", outputs={"Issuer": "kms", "Fleet": "f"}, operator={"AWS_ACCESS_KEY_ID": "a"})
    assert current_deployment(tmp_path) is None
    record_deployment(tmp_path, made)
    assert current_deployment(tmp_path) == made
    forget_deployment(tmp_path)
    forget_deployment(tmp_path)
    assert current_deployment(tmp_path) is None


def test_the_record_of_an_older_sandbox_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "deployment.json").write_text(json.dumps({"digest": "d"}))
    assert current_deployment(tmp_path) is None
