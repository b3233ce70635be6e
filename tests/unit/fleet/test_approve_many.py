"""approve and reject of many keys: from the list that a jig writes, and from what `pending` prints."""

import time

import pytest

from ledger import ThingProfile
from tests.support.fleet.authority import fingerprint, new_key


@pytest.fixture
def waiting(cloud):
    """Three keys that wait for approval."""
    keys = [fingerprint(new_key()) for _ in range(3)]
    for number, key in enumerate(keys):
        cloud.ledger.hold_for_approval(fingerprint=key, suggested_name=f"x-{number}", now=int(time.time()) - 9 + number)
    return keys


@pytest.fixture
def file_of(tmp_path):
    def file_of(text):
        (tmp_path / "list").write_text(text)
        return tmp_path / "list"

    return file_of


def test_keys_are_approved_from_the_list_that_a_jig_writes(run, cloud, waiting, file_of):
    stranger = fingerprint(new_key())
    lines = [f"pi-{number},{key},hall=7\n" for number, key in enumerate([*waiting, stranger])]
    file = file_of("".join(lines))
    answer = run("approve", "--from", file, "--dry-run", "--json")
    assert (answer.code, cloud.ledger.device("pi-0"), len(cloud.ledger.requests())) == (1, None, 3)
    assert [each["would"] for each in answer.json] == [*["let the key in"] * 3, None]

    answer = run("approve", "--from", file, "--json")
    assert answer.code == 1
    assert answer.json[0] == {"name": "pi-0", "state": "allowed", "fingerprint": waiting[0], "reason": None}
    assert answer.json[3]["reason"].startswith(f"No key {stranger} waits for approval. Try: zymkey-fleet pending")
    assert answer.err.splitlines()[-1] == "Of 4 devices: approved 3, refused 1."
    assert [cloud.ledger.device_of_key(key).name for key in waiting] == ["pi-0", "pi-1", "pi-2"]
    assert cloud.ledger.device("pi-0").profile == ThingProfile(attributes={"hall": "7"})
    assert cloud.ledger.requests() == []

    # After an interruption: those that are let in already are no failures.
    file_of("".join(lines[:3]))
    again = run("approve", "--from", file)
    assert (again.code, again.err) == (0, "Of 3 devices: approved 3.\n")
    assert run("approve", "--from", file, "--dry-run").err == "Of 3 devices: would stay 3.\n"
    assert [each.what for each in cloud.ledger.history("pi-0")] == ["approved"]


def test_a_dry_run_of_an_approval_says_what_would_be_refused(run, cloud, waiting, file_of):
    run("allow", "taken", "--key", fingerprint(new_key()))
    run("invite", "invited")
    run("allow", "other", "--key", waiting[1])
    file = file_of(f"taken,{waiting[0]}\ninvited,{waiting[2]}\nnew,{waiting[1]}\n")
    foreseen, done = (run("approve", "--from", file, *more, "--json") for more in (["--dry-run"], []))
    assert [each["reason"] for each in foreseen.json] == [each["reason"] for each in done.json]
    assert [each["reason"] is None for each in done.json] == [False, True, False]
    alone = run("approve", waiting[0], "--name", "pi-9", "--dry-run")
    assert alone.out.splitlines()[1] == "pi-9  would change  let the key in"


def test_a_key_and_its_name_belong_together(run, cloud, waiting):
    assert run("approve", waiting[0]).code == 2
    assert run("approve", "--name", "pi-1").code == 2
    assert run("approve", waiting[0], "--from", "list").code == 2


def test_keys_are_rejected_from_what_pending_prints(run, cloud, waiting, file_of):
    assert run("reject", "--keys", file_of(run("pending", "--json").out)).err == "Rejected: 3 of 3.\n"
    assert all(each.rejected for each in cloud.ledger.requests())


def test_keys_are_rejected_from_a_file_of_one_a_line(run, cloud, waiting, file_of):
    stranger = fingerprint(new_key())
    answer = run("reject", "--keys", file_of(f"{waiting[0]}\n\n# a comment\n{stranger}\n"), "--json")
    assert answer.code == 1
    assert [(each["fingerprint"], each["rejected"]) for each in answer.json] == [(waiting[0], True), (stranger, False)]
    wrong = run("reject", "--keys", file_of(f"{waiting[1]}\npi-2\n"))
    assert wrong.code == 1
    assert "line 2: 'pi-2' is not a fingerprint" in wrong.err
    assert [each.rejected for each in cloud.ledger.requests() if each.fingerprint == waiting[1]] == [False]
