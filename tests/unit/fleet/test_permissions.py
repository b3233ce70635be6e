"""The managed policies for people permit what the commands of their role document that they call, and nothing else."""

import json
import re
from pathlib import Path

import pytest

from fleet.roles import OF_ADMINISTRATORS, OPERATOR, READER, SMALLEST_POLICY, VERIFIER

ROOT = Path(__file__).parents[3]
COMMANDS = {
    path.stem: path
    for path in sorted((ROOT / "fleet" / "commands").glob("*.py"))
    if path.name not in ("__init__.py", "ca.py") and path.stem not in OF_ADMINISTRATORS
}
# It needs no permission (AWS STS API reference, GetCallerIdentity).
NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
# What ``audit`` does with --fix.
WITH_AN_OPTION = "with\n--fix also"
# What ``set`` does with groups; tests/template/test_people.py holds it.
WITH_A_SETTING = "with\nthe setting things"


def documented(command, *, with_options=True):
    """The actions in a command's docstring: ``service:Action``, and each ``Action`` after it of the same service."""
    text = COMMANDS[command].read_text().split('"""')[1]
    assert "AWS actions" in text, command
    listed = text.partition("AWS actions:")[2]
    listed = listed.partition(WITH_A_SETTING)[0]
    if not with_options:
        listed = listed.partition(WITH_AN_OPTION)[0]
    actions, service = set(), None
    for named, action in re.findall(
        r"(?:\b([a-z]+):)?\b((?:[A-Z][a-z]+){2,}[A-Z]?\w*|[A-Z][a-z]+CA[A-Z]\w+|Publish|Query|Scan)\b", listed
    ):
        service = named or service
        actions.add(f"{service}:{action}")
    return actions - NEEDS_NO_PERMISSION


def granted(output):
    """The actions of the managed policy that an output names, in the templates' committed snapshots."""
    snapshots = ROOT / "tests" / "template" / "snapshots"
    outputs = json.loads((snapshots / "kms-enrollment.json").read_text())["Outputs"]
    exported = outputs[output]["Value"]["Fn::GetStackOutput"]["OutputName"]
    trust = json.loads((snapshots / "kms-trust.json").read_text())
    statements = trust["Resources"][trust["Outputs"][exported]["Value"]["Ref"]]["Properties"]["PolicyDocument"]
    actions = set()
    for statement in statements["Statement"]:
        named = statement["Action"]
        actions |= {named} if isinstance(named, str) else set(named)
    return actions


def of_role(output):
    return [command for command in COMMANDS if output in (OPERATOR, SMALLEST_POLICY.get(command))]


@pytest.mark.parametrize("output", [READER, OPERATOR, VERIFIER])
def test_a_policy_permits_what_the_commands_of_its_role_document_and_nothing_else(output):
    commands = of_role(output)
    assert commands
    needed = {action for command in commands for action in documented(command, with_options=output == OPERATOR)}
    assert granted(output) == needed


def test_a_reader_can_change_nothing():
    assert WITH_AN_OPTION in COMMANDS["audit"].read_text()
    assert WITH_A_SETTING in COMMANDS["set"].read_text()
    assert {re.match("[A-Z][a-z]+", action.split(":")[1])[0] for action in granted(READER)} == {
        *("Describe", "Get", "List", "Query", "Scan", "Search")
    }


def test_every_role_is_of_commands_that_exist():
    assert SMALLEST_POLICY.keys() <= COMMANDS.keys()
