"""The operators' managed policy permits what the commands document that they call, and nothing else."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMANDS = sorted(
    path for path in (ROOT / "fleet" / "commands").glob("*.py") if path.name not in ("__init__.py", "ca.py")
)
# It needs no permission (AWS STS API reference, GetCallerIdentity).
NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}


def documented(path):
    """The actions in a command's docstring: ``service:Action``, and each ``Action`` after it of the same service."""
    text = path.read_text().split('"""')[1]
    assert "AWS actions" in text, path.name
    listed = text.partition("AWS actions:")[2]
    actions, service = set(), None
    for named, action in re.findall(
        r"(?:\b([a-z]+):)?\b((?:[A-Z][a-z]+){2,}[A-Z]?\w*|[A-Z][a-z]+CA[A-Z]\w+|Query)\b", listed
    ):
        service = named or service
        actions.add(f"{service}:{action}")
    return actions


def granted():
    """The actions of the managed policy in the template's committed snapshot."""
    template = json.loads((ROOT / "tests" / "template" / "snapshots" / "kms-trust.json").read_text())
    (policy,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::IAM::ManagedPolicy")
    actions = set()
    for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
        named = statement["Action"]
        actions |= {named} if isinstance(named, str) else set(named)
    return actions


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_the_policy_permits_what_each_command_documents(path):
    assert documented(path) - NEEDS_NO_PERMISSION <= granted()


def test_the_policy_permits_nothing_that_no_command_documents():
    assert granted() == {action for path in COMMANDS for action in documented(path)} - NEEDS_NO_PERMISSION
