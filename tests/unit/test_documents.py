"""What README.md and docs/ say of the device's settings is so, and can be read in a terminal."""

import re
from pathlib import Path

import pytest

from device.cli import COMMANDS
from device.kept_settings import KEPT
from device.settings_files import ON_CARD
from device.settings_search import VARIABLES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "docs/device.md",
    "docs/operator.md",
    "docs/permissions.md",
    "docs/runbook.md",
    "docs/settings.md",
]


@pytest.fixture(scope="module")
def device() -> str:
    return (ROOT / "docs/device.md").read_text()


def test_each_setting_of_the_device_is_documented_with_its_places(device: str) -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in device.splitlines() if line.startswith("| `")]
    settings = {row[0].strip("`").replace("-", "_"): row for row in rows if len(row) == 7}
    assert settings.keys() == VARIABLES.keys()
    for setting, (_, option, variable, _, card, kept, _) in settings.items():
        expected = {"url": "`URL`", "on_renew": ""}.get(setting, f"`--{setting.replace('_', '-')}`")
        assert (option, variable) == (expected, f"`{VARIABLES[setting]}`")
        assert (card, kept) == ("yes" if setting in ON_CARD else "", "yes" if setting in KEPT else ""), setting


def test_every_command_that_is_named_exists(device: str) -> None:
    named = set(re.findall(r"zymkey-iot ([a-z]+)\b(?![-.:])", device))
    assert named
    assert named <= COMMANDS.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_outside_of_tables_fit_a_terminal(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_inside_of_the_project_lead_somewhere(name: str) -> None:
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", (ROOT / name).read_text()):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.is_file(), path
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads], anchor
