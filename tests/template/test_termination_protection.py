"""A stack that devices depend on is not deleted by one command."""

import json
from pathlib import Path

import pytest
from aws_cdk import App

from tests.template.synthesis import add_app_stacks, context


@pytest.mark.parametrize("protected", [True, False])
def test_the_setting_protects_both_stacks(protected: bool, tmp_path: Path) -> None:
    """The property is no part of a template: the command line reads it in the assembly's manifest."""
    settings = {} if protected else {"terminationProtection": False}
    app = App(context=context(**settings), outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    add_app_stacks(app)
    app.synth()
    artifacts = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    stacks = {
        name: artifact["properties"].get("terminationProtection", False)
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    assert stacks == {"zymkey-Trust": protected, "zymkey-Enrollment": protected}
