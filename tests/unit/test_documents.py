"""What README.md and docs/ say of the device's settings and of AWS's command line is so, and fits a terminal."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import botocore.session
import pytest
from botocore import xform_name

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
    "docs/regions.md",
    "docs/runbook.md",
    "docs/scale.md",
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


def test_the_program_that_hears_of_a_renewal_subscribes_and_renews(device: str) -> None:
    (program,) = (each for each in re.findall(r"```python\n(.*?)```", device, re.DOTALL) if "renewal_topic" in each)
    did: list[object] = []
    world = {
        "device": SimpleNamespace(renewal_topic="zymkey/acme/renew/pi-7"),
        "subprocess": SimpleNamespace(Popen=did.append),
    }
    exec(program, world)  # noqa: S102
    client = SimpleNamespace(subscribe=lambda topic, *, qos: did.append((topic, qos)))
    world["on_connect"](client, None, None)  # type: ignore[operator]
    for topic in ("devices/pi-7/x", "zymkey/acme/renew/pi-7"):
        world["on_message"](client, None, SimpleNamespace(topic=topic))  # type: ignore[operator]
    assert did == [("zymkey/acme/renew/pi-7", 1), ["sudo", "zymkey-iot", "renew"]]


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


def commands_of_aws(text: str) -> Iterator[tuple[str, str, set[str]]]:
    """Service, operation and options, out of blocks of shell and of code within a sentence, which may be wrapped."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for command in [*lines, *(" ".join(each.split()) for each in spans)]:
        for service, operation, rest in re.findall(r"\baws ([a-z0-9-]+) ([a-z][a-z0-9-]+)([^|;]*)", command):
            yield service, operation, set(re.findall(r"(?<!\S)--([a-z-]+)", rest))


# The command line's own: operations without a model, and options of every operation.
OWN = {("configure", "export-credentials"), ("logs", "tail"), ("s3", "cp")}
OF_ALL = {"output", "profile", "query", "region"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_aws_command_line_has_each_command_with_its_options(name: str) -> None:
    session = botocore.session.get_session()
    for service, operation, options in commands_of_aws((ROOT / name).read_text()):
        if (service, operation) in OWN:
            continue
        model = session.get_service_model(service)
        operations = {xform_name(each, "-"): each for each in model.operation_names}
        assert operation in operations, (service, operation)
        shape = model.operation_model(operations[operation]).input_shape
        members = {xform_name(member, "-"): found for member, found in shape.members.items()} if shape else {}
        switches = {f"no-{member}" for member, found in members.items() if found.type_name == "boolean"}
        assert options <= members.keys() | switches | OF_ALL, (service, operation, options)


def test_commands_are_found_where_the_documents_have_them() -> None:
    found = {name: list(commands_of_aws((ROOT / name).read_text())) for name in DOCUMENTS}
    protection = ("cloudformation", "update-termination-protection")
    for name in ("README.md", "docs/operator.md"):
        assert (*protection, {"no-enable-termination-protection", "stack-name"}) in found[name]
    assert len(found["docs/runbook.md"]) > 15
