"""Which devices a command works on: names, files of names, filters; and what is asked before it happens."""

import argparse
import io
import json
import sys

import pytest

from fleet.deployment import open_deployment
from fleet.errors import Refused, UsageError
from fleet.selection import Selection, add_selection, confirm, selected
from ledger import THING_MARK
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import enroll

KEY = fingerprint(new_key())


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_selection(parser, doing="block")
    parser.set_defaults(json=False)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture
def choose(cloud):
    """A function that gives the selection of some words."""
    options = argparse.Namespace(profile=None, region=None, fleet=cloud.fleet, url=None)
    deployment = open_deployment(options)
    return lambda *words: selected(parsed(*words), deployment)


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and gives its path."""

    def write(content):
        path = tmp_path / "names"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_one_name_is_the_device_that_a_command_had_before(choose):
    assert choose("pi-1") == Selection(names=["pi-1"], is_single=True)
    assert choose("pi-1", "pi-1") == Selection(names=["pi-1"], is_single=True)
    assert choose("pi-2", "pi-1", "pi-2") == Selection(names=["pi-2", "pi-1"])


FORMS = {
    "a name a line": "pi-2\npi-1\n",
    "as Windows writes it": b"\xef\xbb\xbfpi-2\r\n\r\npi-1\r\n",
    "the end of an old Mac's line": "pi-2\rpi-1",
    "with comments, blanks and repetitions": "# lost\n\n  pi-2 \npi-1\npi-2\n",
    "CSV without heads": "pi-2,lost\npi-1,stolen\n",
    "CSV with heads, quoted": '"state","Name"\n"enrolled, it says","pi-2"\n"","pi-1"\n',
    "CSV of a European spreadsheet": "NAME;STATE\npi-2;enrolled\npi-1;blocked\n",
    "CSV with tabs": "name\tstate\npi-2\tenrolled\npi-1\tblocked\n",
    "JSON lines": '{"name": "pi-2"}\n\n{"name": "pi-1", "state": "enrolled"}\n',
    "a JSON list of objects": json.dumps([{"name": "pi-2"}, {"name": "pi-1"}], indent=2),
    "a JSON list of names": '["pi-2", "pi-1"]',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_names_has_any_usual_form(choose, file, form):
    assert choose("--from", file(FORMS[form])) == Selection(names=["pi-2", "pi-1"])


def test_names_and_a_file_go_together_and_standard_input_is_a_file(choose, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"pi-2\npi-1\n")))
    assert choose("pi-9", "--from", "-").names == ["pi-9", "pi-2", "pi-1"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("pi-1\n\npi 2\n", "line 3: 'pi 2' is not a device name"),
        ("name,state\npi-1,blocked\n,blocked\n", "line 3: '' is not a device name"),
        ('state,name\n"two\nlines",pi-1\nblocked\n', "line 4: '' is not a device name"),
        ('{"name": "pi-1"}\n{"name": 7}\n', "line 2: 7 is not a device name"),
        ('{"name": "pi-1"}\n{"nam": "pi-2"}\n', "line 2: None is not a device name"),
        ('{"name": "pi-1"}\n{"name": "pi-2"\n', "line 2: this is not JSON"),
        ('["pi-1", "pi/2"]', "entry 2 of the list: 'pi/2' is not a device name"),
        ("[" * 100_000, "this is not JSON"),
        (b"pi-1\npi-\xfc\n", "line 2: this is not UTF-8"),
        ("pi-1\x00\n", "line 1: "),
        ("# nothing\n", "The file names no device."),
        ("", "The file names no device."),
    ],
)
def test_a_wrong_file_is_refused_as_a_whole_and_says_where(choose, file, content, said):
    with pytest.raises(Refused) as refused:
        choose("--from", file(content))
    assert said in refused.value.cause


def test_a_file_that_is_not_there_is_refused(choose, tmp_path):
    with pytest.raises(Refused, match="cannot be read"):
        choose("--from", tmp_path / "missing")


def test_names_and_filters_are_not_mixed_and_one_of_them_is_needed(choose):
    for words in ([], ["pi-1", "--state", "enrolled"]):
        with pytest.raises(UsageError):
            choose(*words)


def test_filters_choose_by_the_ledger(choose, cloud):
    for name in ("cam-1", "cam-2"):
        enroll(cloud, name, registered=False)
    cloud.ledger.allow("pi-1", fingerprint=KEY, by="alice", now=1)
    cloud.ledger.block("cam-2", by="alice", now=1)
    for words, names in {
        ("--state", "enrolled"): ["cam-1"],
        ("--state", "enrolled", "--state", "blocked"): ["cam-1", "cam-2"],
        ("--prefix", "cam-"): ["cam-1", "cam-2"],
        ("--prefix", "cam-", "--state", "blocked"): ["cam-2"],
        ("--expires-within", "31d"): ["cam-1", "cam-2"],
        ("--state", "invited"): ["pi-1"],
    }.items():
        assert choose(*words) == Selection(names=names, by_filter=True)
    for words in (["--expires-within", "29d"], ["--expired"], ["--prefix", "x"]):
        with pytest.raises(Refused, match="No device is what the filters say"):
            choose(*words)


def test_groups_and_attributes_are_those_of_aws_iot_and_devices_those_of_this_fleet(choose, cloud):
    group = f"{cloud.fleet}-roof"
    cloud.iot.create_thing_group(thingGroupName=group)
    names = [f"{cloud.fleet}-{number}" for number in range(5)]
    marks = [cloud.fleet, cloud.fleet, cloud.fleet, "another", cloud.fleet]
    for number, (name, mark) in enumerate(zip(names, marks, strict=True)):
        attributes = {THING_MARK: mark, "site": cloud.fleet, "floor": str(number % 2)}
        cloud.iot.create_thing(thingName=name, attributePayload={"attributes": attributes})
        if number in (0, 1, 4):
            cloud.iot.add_thing_to_thing_group(thingName=name, thingGroupName=group)
    for name in names[:4]:  # the fifth is no device of the ledger
        cloud.ledger.invite(name, token_hash="x", token_expires=1, by="alice", now=1)

    site = f"site={cloud.fleet}"
    assert choose("--group", group).names == names[:2]
    assert choose("--attribute", site).names == names[:3], "the fourth has the mark of another fleet"
    assert choose("--attribute", site, "--attribute", "floor=0").names == [names[0], names[2]]
    assert choose("--attribute", site, "--group", group, "--attribute", "floor=1").names == [names[1]]
    for words in (
        ["--attribute", "floor=0", "--attribute", "floor=1"],
        ["--attribute", site, "--state", "enrolled"],
        ["--attribute", "site=nowhere"],
    ):
        with pytest.raises(Refused, match="No device"):
            choose(*words)
    with pytest.raises(Refused, match="AWS IoT has no thing group"):
        choose("--group", f"{group}-2")


SEVERAL = Selection(names=[f"pi-{number:02}" for number in range(30)], by_filter=True)


@pytest.mark.parametrize("options", [{"yes": True}, {"dry_run": True}])
def test_nothing_is_asked_when_that_was_answered(options):
    confirm(SEVERAL, argparse.Namespace(**{"yes": False, "dry_run": False, "json": False} | options), doing="block")


def test_nothing_is_asked_of_devices_that_were_named():
    confirm(Selection(names=["pi-1", "pi-2"]), parsed("pi-1", "pi-2"), doing="block")


def test_without_a_terminal_yes_has_to_be_said_on_the_command_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(Refused, match="30 devices would be chosen to block") as refused:
        confirm(SEVERAL, parsed("--state", "enrolled"), doing="block")
    assert "--yes" in refused.value.cure


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("answer", ["yes\n", "Y\n", "no\n", "\n", ""])
def test_a_person_at_a_terminal_is_asked(answer, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    try:
        confirm(SEVERAL, parsed("--state", "enrolled"), doing="block")
        agreed = True
    except Refused as refused:
        agreed = False
        assert refused.cause == "Nothing was done."
    assert agreed == (answer.strip().lower() in ("y", "yes"))
    shown = capsys.readouterr()
    assert shown.out.split() == ["NAME", *SEVERAL.names[:20]]
    assert "and 10 more" in shown.err
    assert "Block 30 devices?" in shown.err
