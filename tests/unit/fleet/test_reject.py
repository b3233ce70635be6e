"""reject: one key, several, or all that wait; what cannot be rejected is named and stops nothing."""

import time
from types import SimpleNamespace

import pytest

from tests.support.fleet.authority import fingerprint, new_key


@pytest.fixture
def waiting(cloud):
    """Three keys that wait for approval."""
    keys = [fingerprint(new_key()) for _ in range(3)]
    for number, key in enumerate(keys):
        cloud.ledger.hold_for_approval(
            fingerprint=key, suggested_name=f"pi-{number}", now=int(time.time()) - 9 + number
        )
    return keys


@pytest.fixture
def typed(monkeypatch):
    """A function that has a person at a terminal type a line."""

    def typed(line):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: line, fileno=lambda: 0))

    return typed


def rejected(cloud):
    return {each.fingerprint for each in cloud.ledger.requests() if each.rejected}


def test_several_keys_are_rejected_at_once(run, cloud, waiting):
    answer = run("reject", waiting[0], waiting[1].replace("SHA256:", "sha256:") + "=", waiting[0])
    assert (answer.code, answer.err) == (0, "Rejected: 2 of 2.\n")
    assert rejected(cloud) == set(waiting[:2])
    assert [line.split() for line in answer.out.splitlines()[1:]] == [[each, "rejected", "-"] for each in waiting[:2]]


def test_one_that_does_not_wait_is_named_and_does_not_stop_the_others(run, cloud, waiting):
    stranger = fingerprint(new_key())
    answer = run("reject", waiting[0], stranger, waiting[2], "--json")
    assert answer.code == 1
    assert rejected(cloud) == {waiting[0], waiting[2]}
    assert answer.json == [
        {"fingerprint": waiting[0], "rejected": True, "reason": None},
        {"fingerprint": stranger, "rejected": False, "reason": f"No key {stranger} waits for approval."},
        {"fingerprint": waiting[2], "rejected": True, "reason": None},
    ]


def test_one_alone_answers_as_it_always_did(run, cloud, waiting):
    assert run("reject", waiting[0], "--json").json == {"fingerprint": waiting[0], "rejected": True}
    assert run("reject", waiting[1]).out == f"The key {waiting[1]} is rejected.\n"
    assert run("reject", fingerprint(new_key())).code == 1


def test_all_asks_the_person_at_the_terminal(run, cloud, waiting, typed):
    typed("no\n")
    answer = run("reject", "--all")
    assert (answer.code, rejected(cloud)) == (1, set())
    assert "Reject these 3 keys? Type yes:\n" in answer.err
    assert all(each in answer.out for each in waiting)
    typed("")
    assert run("reject", "--all").code == 1
    typed("yes\n")
    assert run("reject", "--all").code == 0
    assert rejected(cloud) == set(waiting)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_all_without_a_terminal_wants_to_be_told(run, cloud, waiting, form):
    answer = run("reject", "--all", *form)
    assert (answer.code, rejected(cloud)) == (1, set())
    assert "Try: run the same command again with --yes" in answer.err
    assert run("reject", "--all", "--yes", *form).code == 0
    assert rejected(cloud) == set(waiting)
    assert run("reject", "--all", *form).code == 0


def test_all_of_one_address_are_rejected_and_no_others(run, cloud, waiting):
    flood = [fingerprint(new_key()) for _ in range(2)]
    for key in flood:
        cloud.ledger.hold_for_approval(fingerprint=key, suggested_name="x", now=int(time.time()), source="198.51.100.7")
    shown = {each["fingerprint"]: each["from"] for each in run("pending", "--json").json}
    assert shown == {**dict.fromkeys(waiting), **dict.fromkeys(flood, "198.51.100.7")}
    assert run("reject", "--from", "198.51.100.7", "--yes").code == 0
    assert rejected(cloud) == set(flood)
    assert run("reject", "--from", "198.51.100.7").err == "Rejected: 0 of 0.\n"


def test_a_dry_run_rejects_nothing(run, cloud, waiting):
    answer = run("reject", "--all", "--dry-run")
    assert (answer.code, answer.err) == (0, "Would be rejected: 3.\n")
    assert all(each in answer.out for each in waiting)
    assert {each["rejected"] for each in run("reject", waiting[0], "--dry-run", "--json").json} == {False}
    assert rejected(cloud) == set()


@pytest.mark.parametrize("words", [[], ["--all", "SHA256:" + "A" * 43], ["SHA256:abc"]])
def test_what_to_reject_is_said_in_one_way(run, words):
    assert run("reject", *words).code == 2
