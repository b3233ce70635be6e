"""What the checkers say about the templates: each finding is accepted, with its reason, beside its construct."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from tests.template.deployments import DEPLOYMENTS
from tests.template.synthesis import add_app_stacks, context


@dataclass(frozen=True, kw_only=True)
class Checked:
    """An app after a synthesis into ``folder`` with every checker on, and what they found."""

    app: App
    folder: Path
    violations: list[dict[str, Any]]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checked]:
    """By the name in ``DEPLOYMENTS``."""
    return {name: check(settings, tmp_path_factory.mktemp(name)) for name, settings in DEPLOYMENTS.items()}


def check(settings: dict[str, Any], folder: Path) -> Checked:
    app = App(context=context(**settings), outdir=str(folder))  # the CDK validates unless it is told not to
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    add_app_stacks(app)
    try:
        app.synth()
    except RuntimeError as error:
        assert "ValidationFailed" in str(error), error
    report = json.loads((folder / "validation-report.json").read_text())
    violations = [violation for plugin in report["pluginReports"] for violation in plugin["violations"]]
    return Checked(app=app, folder=folder, violations=violations)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_cdk_nag_and_the_cdks_validation_find_nothing_unanswered(name: str, checked: dict[str, Checked]) -> None:
    assert [
        f"{violation['ruleName']} at {place['constructPath']}: {violation['description']}"
        for violation in checked[name].violations
        for place in violation["violatingConstructs"]
    ] == []


def test_cdk_nag_is_really_asked(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    s3.CfnBucket(Stack(app, "Stack"), "Bucket")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_findings_are_answered_with_a_reason_and_never_for_a_whole_stack(
    name: str, checked: dict[str, Checked]
) -> None:
    answered = dict(acknowledgements(checked[name].app))
    assert answered
    for construct, reasons in answered.items():
        assert not App.is_app(construct)
        assert not Stack.is_stack(construct)
        assert all(len(reason) > 20 for reason in reasons), construct.node.path


def acknowledgements(app: App) -> Iterator[tuple[IConstruct, list[str]]]:
    for construct in app.node.find_all():
        reasons = [
            reason
            for entry in construct.node.metadata
            if entry.type == Validations.ACKNOWLEDGED_RULES_METADATA_KEY
            for reason in entry.data.values()
        ]
        if reasons:
            yield construct, reasons


def test_cfn_lint_finds_nothing(checked: dict[str, Checked]) -> None:
    templates = [path for each in checked.values() for path in sorted(each.folder.glob("*.template.json"))]
    assert len(templates) == 2 * len(DEPLOYMENTS)
    # W3005: the CDK writes out dependencies that follow from references as well; that is its way and does no harm.
    command = [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W3005", "--", *templates]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr
