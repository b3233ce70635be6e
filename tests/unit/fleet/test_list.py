"""list: filters, order, pages, forms; and that a long list neither fills the memory nor outlives its reader."""

import csv
import io
import json
import sys
import time

import pytest

from fleet.cli import main
from ledger import Device, Ledger, State
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import enroll

NOW = int(time.time())
MANY = 100_000


@pytest.fixture
def fleet(cloud):
    """Two enrolled devices, one of which is blocked, and two invitations, one of which has expired."""
    for name in ("cam-1", "cam-2"):
        enroll(cloud, name, registered=False)
    cloud.ledger.block("cam-2", by="alice", now=NOW)
    cloud.ledger.invite("pi-1", token_hash="x", token_expires=NOW - 1, by="alice", now=NOW)
    cloud.ledger.invite("pi-2", token_hash="x", token_expires=NOW + 86_400, by="alice", now=NOW)
    return cloud


def names(answer):
    assert answer.code == 0
    return [line.split()[0] for line in answer.out.splitlines()[1:]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["cam-1", "cam-2", "pi-1", "pi-2"]),
        (["--state", "invited-expired"], ["pi-1"]),
        (["--state", "invited"], ["pi-2"]),
        (["--state", "enrolled", "--state", "blocked"], ["cam-1", "cam-2"]),
        (["--prefix", "pi"], ["pi-1", "pi-2"]),
        (["--expires-within", "60d", "--state", "enrolled"], ["cam-1"]),
        (["--limit", "2"], ["cam-1", "cam-2"]),
        (["--limit", "2", "--after", "cam-1"], ["cam-2", "pi-1"]),
        (["--limit", "1", "--state", "blocked"], ["cam-2"]),
        (["--sort", "expires", "--limit", "3"], ["cam-1", "cam-2", "pi-1"]),
    ],
)
def test_filters_and_pages_go_together(run, fleet, words, expected):
    assert names(run("list", *words)) == expected
    if "--limit" not in words:
        assert run("list", *words, "--count").out == f"{len(expected)}\n"
        assert run("list", *words, "--count", "--json").json == {"count": len(expected)}


@pytest.mark.parametrize("words", [["--count", "--limit", "1"], ["--after", "pi-1", "--sort", "expires"]])
def test_what_cannot_be_meant_is_refused(run, fleet, words):
    assert run("list", *words).code == 2


def test_nothing_that_fits_is_no_failure_and_said(run, fleet):
    answer = run("list", "--prefix", "x")
    assert (answer.code, answer.out.split()[0]) == (0, "NAME")
    assert answer.err == "No device is what the filters say.\n"
    assert run("list", "--prefix", "x", "--json").out == "[]\n"
    assert run("list", "--prefix", "x", "--json-lines").out == ""


def test_each_form_says_the_same(run, fleet):
    as_json = run("list", "--json").json
    assert run("list", "--json").out == json.dumps(as_json, indent=2) + "\n"
    assert [json.loads(line) for line in run("list", "--json-lines").out.splitlines()] == as_json
    rows = list(csv.DictReader(io.StringIO(run("list", "--csv").out)))
    assert [row.pop("state") for row in rows] == ["enrolled", "blocked", "invited-expired", "invited"]
    assert rows == [{name: value or "" for name, value in each.items() if name != "state"} for each in as_json]


def test_what_list_prints_names_the_same_devices_to_other_commands(run, fleet, tmp_path):
    from fleet.name_file import names_from

    for option in ("--json", "--json-lines", "--csv"):
        path = tmp_path / option
        path.write_text(run("list", option).out)
        assert names_from(path) == ["cam-1", "cam-2", "pi-1", "pi-2"]


def test_sorted_by_the_end_of_the_certificate_the_nearest_comes_first(run, cloud, monkeypatch):
    ends = {"a": NOW + 30, "b": None, "c": NOW + 10, "d": NOW + 20}
    devices = [Device(name=name, state=State.ENROLLED, updated_at=NOW, not_after=end) for name, end in ends.items()]
    monkeypatch.setattr(Ledger, "devices", lambda *_, **__: iter(devices))
    assert names(run("list", "--sort", "expires")) == ["c", "d", "a", "b"]
    assert names(run("list", "--sort", "expires", "--limit", "2")) == ["c", "d"]


class Reader(io.StringIO):
    """Reads some characters, and leaves, as ``head`` does."""

    def __init__(self, characters):
        super().__init__()
        self._left = characters

    def write(self, text):
        if self._left <= 0:
            raise BrokenPipeError(32, "Broken pipe")
        self._left -= len(text)
        return super().write(text)


@pytest.fixture
def large(cloud, monkeypatch):
    """A fleet of many; the list counts what has been read of it."""
    read = [0]
    key = fingerprint(new_key())

    def devices(*_, **__):
        for number in range(MANY):
            read[0] += 1
            yield Device(name=f"pi-{number:06}", state=State.ENROLLED, updated_at=NOW, fingerprint=key, not_after=NOW)

    monkeypatch.setattr(Ledger, "devices", devices)
    return read


@pytest.mark.parametrize("form", [[], ["--json"], ["--json-lines"], ["--csv"]], ids=str)
def test_a_long_list_begins_at_once_and_ends_with_its_reader(large, monkeypatch, capsys, form):
    monkeypatch.setattr(sys, "stdout", Reader(600))
    assert main(["list", *form]) == 0
    assert large[0] <= 1000
    assert capsys.readouterr().err == ""


def test_an_error_in_the_middle_of_a_list_is_no_device_of_it(run, cloud, monkeypatch):
    def devices(*_, **__):
        yield Device(name="pi-1", state=State.ENROLLED, updated_at=NOW)
        raise ConnectionError

    monkeypatch.setattr(Ledger, "devices", devices)
    answer = run("list", "--json")
    assert answer.code != 0
    with pytest.raises(ValueError):
        json.loads(answer.out)
    assert "error" not in answer.out
    assert answer.err.startswith("zymkey-fleet: ")
