"""One command for many devices: its answers in each form, its summary, its exit code, its bar."""

import argparse
import csv
import io
import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest
from botocore.exceptions import ClientError

from fleet.errors import NoCredentials, Refused
from fleet.many import Done, Many

MANY = Many(columns=("name", "state", "deactivated"))


def blocked(name):
    if name == "pi-2":
        raise Refused("There is no device 'pi-2'.", cure="zymkey-fleet list")
    return Done(
        record={"name": name, "state": "blocked", "deactivated": ["a1", "b2"]},
        what="blocked already" if name == "pi-3" else "blocked",
        detail=["certificates switched off: 2"],
    )


@pytest.fixture
def many(capsys):
    """A function that does something to some devices: exit code, standard output, standard error."""

    def many(names, *, work=blocked, form=""):
        arguments = argparse.Namespace(json=form == "json", csv=form == "csv")
        code = MANY.run(names, work, arguments)
        return code, *capsys.readouterr()

    return many


NAMES = ["pi-1", "pi-2", "pi-3", "a-much-longer-name"]
SUMMARY = """\
pi-2: There is no device 'pi-2'. Try: zymkey-fleet list
Of 4 devices: blocked 2, blocked already 1, refused 1.
"""


def test_the_answers_are_a_table(many):
    code, out, err = many(NAMES)
    assert (code, err) == (1, SUMMARY)
    assert out.splitlines() == [
        "NAME                RESULT           DETAIL",
        "pi-1                blocked          certificates switched off: 2",
        "pi-2                refused          There is no device 'pi-2'. Try: zymkey-fleet list",
        "pi-3                blocked already  certificates switched off: 2",
        "a-much-longer-name  blocked          certificates switched off: 2",
    ]


def test_the_answers_are_a_json_list_as_print_json_prints_one(many):
    code, out, err = many(NAMES, form="json")
    assert (code, err) == (1, SUMMARY)
    rows = json.loads(out)
    assert rows[0] == {"name": "pi-1", "state": "blocked", "deactivated": ["a1", "b2"], "reason": None}
    assert rows[1] == {
        "name": "pi-2",
        "state": None,
        "deactivated": None,
        "reason": "There is no device 'pi-2'. Try: zymkey-fleet list",
    }
    assert out == json.dumps(rows, indent=2) + "\n"
    assert many([], form="json")[1] == "[]\n"


def test_the_answers_are_csv(many):
    code, out, err = many(NAMES, form="csv")
    assert (code, err) == (1, SUMMARY)
    heads, *rows = csv.reader(io.StringIO(out))
    assert heads == ["name", "state", "deactivated", "reason"]
    assert rows[0] == ["pi-1", "blocked", "a1 b2", ""]
    assert rows[1] == ["pi-2", "", "", "There is no device 'pi-2'. Try: zymkey-fleet list"]


def test_many_rows_stay_aligned_and_many_failures_are_not_all_told_twice(many):
    def work(name):
        if int(name) % 5 == 0:
            raise Refused("Not this one.")
        return Done(record={}, what="done", detail=["yes"])

    code, out, err = many([str(number) for number in range(300)], work=work)
    assert code == 1
    assert len(out.splitlines()) == 301
    assert {line.index(word) for line in out.splitlines()[1:] for word in ("Not", "yes") if word in line} == {15}
    assert err.splitlines()[10:] == [
        "and 50 more, which the answers have",
        "Of 300 devices: done 240, refused 60.",
    ]


@pytest.mark.parametrize("form", ["", "json", "csv"])
def test_what_would_fail_for_all_says_how_far_it_came(many, capsys, form):
    def work(name):
        if int(name) == 100:
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": ""}}, "GetItem")
        return Done(record={"name": name}, what="done", detail=["yes"])

    names = [str(number) for number in range(5000)]
    if form == "json":  # the list is whole, and the only document
        code, out, err = many(names, work=work, form=form)
        assert code == NoCredentials.exit_code
        assert 100 <= len(json.loads(out)) < 1000
        assert "The AWS session has expired" in err
    else:
        with pytest.raises(NoCredentials):
            many(names, work=work, form=form)
        _, err = capsys.readouterr()
    assert "of 5000 devices (done " in err
    assert "the same command goes on from there" in err


def test_when_nothing_was_done_the_error_is_the_only_answer(many, capsys):
    def work(name):
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": ""}}, "GetItem")

    with pytest.raises(NoCredentials):
        many(["pi-1", "pi-2"], work=work, form="json")
    assert capsys.readouterr().out == ""


SLOW = """
import argparse, sys, time
from fleet.many import Done, Many

def work(number):
    time.sleep(float(sys.argv[1]))
    return Done(record={}, what="done", detail=[str(number)])

Many().run(range(60), work, argparse.Namespace(json="--json" in sys.argv, csv=False))
sys.stderr.write(f"rich: {'rich' in sys.modules}")
"""


def on_terminal(seconds, *options, stdout=None):
    """Run the slow command with standard error, and unless given standard output, on a terminal: what that got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(seconds), *options],
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown, until = b"", time.monotonic() + 60
    while time.monotonic() < until and select.select([ours], [], [], 30)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other side is closed
            break
        shown += part
    os.close(ours)
    assert process.wait(30) == 0
    return shown.decode()


def test_a_person_at_a_terminal_sees_how_far_it_is_after_a_second():
    shown = on_terminal(0.4)
    assert "━" in shown
    assert "/60" in shown
    rows = [line.split() for line in shown.replace("\x1b[2K", "").splitlines()]
    assert all(any(row[-2:] == ["done", str(number)] for row in rows) for number in range(60)), shown
    assert shown.endswith("rich: True")


def test_a_command_that_is_quick_shows_no_bar():
    shown = on_terminal(0)
    assert "━" not in shown
    assert shown.endswith("rich: False")


def test_a_program_gets_no_bar(tmp_path):
    with (tmp_path / "out").open("w") as out:
        shown = on_terminal(0.1, "--json", stdout=out)
    assert shown.endswith("Of 60 devices: done 60.\r\nrich: False")
    piped = subprocess.run([sys.executable, "-c", SLOW, "0.1"], capture_output=True, text=True, check=True)
    assert piped.stderr == "Of 60 devices: done 60.\nrich: False"
