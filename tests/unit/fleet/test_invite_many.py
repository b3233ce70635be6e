"""invite and allow with lists: one answer a device, as a table, CSV, JSON or cards; and what an interruption leaves."""

import csv
import io
import json
import re
import shutil
import time

import pytest

from fleet.cards import FILE, Cards, token_of
from ledger import Ledger, State, ThingProfile
from ledger.token import token_hash
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import URL, enroll

NAMES = ["pi-1", "pi-2", "pi-3"]


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "devices.csv").write_text("\n".join(NAMES))
    return "--from", tmp_path / "devices.csv"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cards"


def is_token_of(cloud, name, token):
    """Whether the ledger lets this device in with this token."""
    device = cloud.ledger.device_of_token(name, token_hash(token))
    return device is not None and device.state is State.INVITED


def tokens(folder):
    with Cards(folder) as cards:
        return {name: token_of(cards.read(name)) for name in NAMES}


def test_a_list_is_invited_with_a_line_of_csv_for_each_device(run, cloud, listed):
    answer = run("invite", *listed, "--csv", "--expires", "2h")
    assert answer.code == 0
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["name"] for row in rows] == NAMES
    assert len({row["token"] for row in rows}) == 3
    for row in rows:
        assert is_token_of(cloud, row["name"], row["token"])
        assert row["command"] == f"zymkey-iot bootstrap {URL} --name {row['name']} --token-file -"
    assert 7100 < cloud.ledger.device("pi-3").token_expires - time.time() <= 7200


def test_names_are_invited_with_a_row_for_each_and_the_one_command_for_all(run, cloud):
    answer = run("invite", *NAMES, "pi-1")
    heads, *rows = (line.split() for line in answer.out.splitlines())
    assert heads == ["NAME", "RESULT", "TOKEN", "EXPIRES"]
    assert [row[0] for row in rows] == NAMES
    assert all(is_token_of(cloud, name, token) for name, _, token, _ in rows)
    assert f"zymkey-iot bootstrap {URL} --name NAME --token-file -" in answer.err
    assert "The same command again makes new tokens in place of these." in answer.err


def test_a_list_as_json_has_for_each_what_one_name_has(run, cloud):
    one = run("invite", "pi-1", "--json").json
    many = run("invite", "pi-1", "pi-2", "--json").json
    assert [each["name"] for each in many] == ["pi-1", "pi-2"]
    assert {*many[0]} == {*one, "reason"}


def test_a_list_comes_from_standard_input_with_things_of_their_own(run, cloud, monkeypatch):
    line = json.dumps({"name": "pi-1", "attributes": {"hall": "7"}})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f'{line}\n{{"name": "pi-2"}}\n'.encode())))
    assert run("invite", "--from", "-", "--attribute", "site=berlin", "--csv").code == 0
    assert cloud.ledger.device("pi-1").profile == ThingProfile(attributes={"site": "berlin", "hall": "7"})
    assert cloud.ledger.device("pi-2").profile == ThingProfile(attributes={"site": "berlin"})


def test_a_bad_line_costs_nobody_an_invitation(run, cloud, tmp_path):
    (tmp_path / "devices.csv").write_text("pi-1\npi 2\npi-3,,,plant\npi-1\n")
    answer = run("invite", "--from", tmp_path / "devices.csv", "--json")
    assert answer.code == 1
    assert answer.json["cause"].startswith(f"3 lines of {tmp_path}/devices.csv cannot be used, the first is line 2: ")
    told = [line for line in answer.err.splitlines() if line.startswith(str(tmp_path))]
    assert [re.search(r"line (\d)", line)[1] for line in told] == ["2", "3", "4"]
    assert "does not list the group 'plant'" in told[1]
    assert list(cloud.ledger.devices()) == []


def test_one_that_cannot_be_invited_stops_no_other(run, cloud, listed):
    enroll(cloud, "pi-2")
    answer = run("invite", *listed, "--json")
    assert answer.code == 1
    reasons = {each["name"]: each["reason"] for each in answer.json}
    assert (reasons["pi-1"], reasons["pi-3"]) == (None, None)
    assert reasons["pi-2"].startswith("Device 'pi-2' is enrolled already")
    assert answer.json[1]["token"] is None


def test_cards_have_the_tokens_and_nothing_else_has(run, cloud, listed, folder):
    answer = run("invite", *listed, "--cards", folder)
    assert answer.code == 0
    assert [line.split() for line in answer.out.splitlines()[1:]] == [
        [name, "invited", cloud_time(cloud, name), f"{folder}/{name}/{FILE}"] for name in NAMES
    ]
    for name, token in tokens(folder).items():
        assert is_token_of(cloud, name, token)
        assert token not in answer.out + answer.err


def cloud_time(cloud, name):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(cloud.ledger.device(name).token_expires))


def test_the_same_command_keeps_the_cards_whose_token_works(run, cloud, listed, folder):
    run("invite", *listed, "--cards", folder)
    before = tokens(folder)
    shutil.rmtree(folder / "pi-2")
    run("invite", "pi-3")  # another token takes the place of that on the card
    answer = run("invite", *listed, "--cards", folder, "--csv")
    after = tokens(folder)
    assert [row["name"] for row in csv.DictReader(io.StringIO(answer.out)) if row["state"] == "invited"] == NAMES
    assert {name: before[name] == after[name] for name in NAMES} == {"pi-1": True, "pi-2": False, "pi-3": False}
    assert all(is_token_of(cloud, *each) for each in after.items())
    assert len(cloud.ledger.history("pi-1")) == 1
    assert "invited 2" in answer.err
    assert "card kept 1" in answer.err


def test_a_token_that_is_too_old_is_replaced(run, cloud, folder, monkeypatch):
    run("invite", "pi-1", "--cards", folder, "--expires", "1m")
    with Cards(folder) as cards:
        old = cards.read("pi-1")
    with monkeypatch.context() as patch:
        now = time.time
        patch.setattr("fleet.invitations.time.time", lambda: now() + 61)
        run("invite", "pi-1", "--cards", folder)
    with Cards(folder) as cards:
        assert token_of(cards.read("pi-1")) != token_of(old)
        assert is_token_of(cloud, "pi-1", token_of(cards.read("pi-1")))


def test_a_kept_card_takes_up_another_address_and_its_device_other_attributes(run, cloud, folder):
    run("invite", "pi-1", "--cards", folder)
    with Cards(folder) as cards:
        first = cards.read("pi-1")
    run("invite", "pi-1", "--cards", folder, "--attribute", "hall=7", "--url", "https://pi.example.com")
    with Cards(folder) as cards:
        second = cards.read("pi-1")
    assert token_of(first) == token_of(second)
    assert 'url = "https://pi.example.com"' in second
    assert is_token_of(cloud, "pi-1", token_of(second))
    assert cloud.ledger.device("pi-1").profile == ThingProfile(attributes={"hall": "7"})


def test_a_device_that_has_enrolled_by_its_card_is_left_alone_by_the_same_command(run, cloud, listed, folder):
    run("invite", *listed, "--cards", folder)
    key, now = fingerprint(new_key()), int(time.time())
    token = token_hash(tokens(folder)["pi-1"])
    cloud.ledger.claim("pi-1", fingerprint=key, token_hash=token, lease="mine", lease_until=now + 25, now=now)
    cloud.ledger.block("pi-3", by="alice", now=now)
    answer = run("invite", *listed, "--cards", folder, "--json")
    assert answer.code == 1
    first, second, third = answer.json
    assert (first["state"], first["expires"], first["reason"]) == ("pending", None, None)
    assert second["reason"] is None
    assert third["reason"].startswith("Device 'pi-3' is blocked")


def test_whatever_moment_it_ends_at_the_same_command_completes_it(run, cloud, listed, folder, monkeypatch):
    """After each invitation, before its card is written; and after each card."""

    class Crash(BaseException):
        pass

    def crash(*_, **__):
        raise Crash

    for moment in ("fleet.invitations.Cards.write", "fleet.commands.invite._on_card"):
        with monkeypatch.context() as patch, pytest.raises(Crash):
            patch.setattr(moment, crash, raising=True)
            run("invite", *listed, "--cards", folder)
        for name in NAMES:
            device = cloud.ledger.device(name)
            assert device is None or device.state is State.INVITED
    answer = run("invite", *listed, "--cards", folder)
    assert answer.code == 0
    assert all(is_token_of(cloud, *each) for each in tokens(folder).items())


def test_a_card_that_cannot_be_written_is_told_and_made_up_for(run, cloud, listed, folder):
    (folder / "pi-2").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    (folder / "pi-2" / FILE).symlink_to("elsewhere")
    answer = run("invite", *listed, "--cards", folder, "--json")
    assert answer.code == 1
    assert "a link is in the way" in answer.json[1]["reason"]
    (folder / "pi-2" / FILE).unlink()
    assert run("invite", *listed, "--cards", folder).code == 0
    assert all(is_token_of(cloud, *each) for each in tokens(folder).items())


def test_a_list_of_keys_is_allowed_again_and_again(run, cloud, tmp_path):
    keys = [fingerprint(new_key()) for _ in NAMES]
    (tmp_path / "keys.csv").write_text("".join(f"{name},{key}\n" for name, key in zip(NAMES, keys, strict=True)))
    for _ in range(2):
        answer = run("allow", "--from", tmp_path / "keys.csv", "--json")
        assert answer.code == 0
        assert [(each["name"], each["fingerprint"]) for each in answer.json] == list(zip(NAMES, keys, strict=True))
    assert [cloud.ledger.device_of_key(key).name for key in keys] == NAMES
    assert len(cloud.ledger.history("pi-1")) == 1
    one = run("allow", "pi-1", "--key", keys[0], "--json").json
    assert {**one, "reason": None} == answer.json[0]


def test_allowed_devices_get_cards_without_a_secret(run, cloud, tmp_path, folder):
    key = fingerprint(new_key())
    for _ in range(2):
        answer = run("allow", "pi-1", "--key", key, "--cards", folder)
        assert answer.code == 0
        heads, row = (line.split() for line in answer.out.splitlines())
        assert heads == ["NAME", "RESULT", "KEY", "CARD"]
        assert row == ["pi-1", "allowed", key, f"{folder}/pi-1/{FILE}"]
    assert (folder / "pi-1" / FILE).read_text().splitlines()[1:] == [f'url = "{URL}"', 'name = "pi-1"']


def test_a_key_of_another_device_stops_no_other(run, cloud, tmp_path):
    taken, free = fingerprint(new_key()), fingerprint(new_key())
    run("allow", "pi-9", "--key", taken)
    (tmp_path / "keys.csv").write_text(f"key,name\n{taken},pi-1\n{free},pi-2\n")
    answer = run("allow", "--from", tmp_path / "keys.csv", "--csv")
    assert answer.code == 1
    first, second = csv.DictReader(io.StringIO(answer.out))
    assert "belongs to another device, 'pi-9'" in first["reason"]
    assert (second["name"], second["fingerprint"], second["reason"]) == ("pi-2", free, "")


@pytest.mark.parametrize(
    "words",
    [
        ("invite",),
        ("invite", "pi-1", "--from", "list"),
        ("invite", "pi-1", "--cards", ""),
        ("invite", "pi-1", "--csv", "--json"),
        ("allow",),
        ("allow", "pi-1"),
        ("allow", "--from", "list", "--key", "SHA256:x"),
        ("allow", "pi-1", "--key", "SHA256:x", "--from", "list"),
    ],
)
def test_what_does_not_belong_together_is_a_usage_error(run, operator_environment, words):
    assert run(*words).code == 2


def test_a_list_that_is_not_there_asks_aws_nothing(run, operator_environment, monkeypatch):
    monkeypatch.setattr("fleet.deployment.AwsSession", None)
    for command in ("invite", "allow"):
        answer = run(command, "--from", "no-such")
        assert answer.code == 1
        assert "The list 'no-such' cannot be read: No such file" in answer.err


def test_the_ledger_is_asked_a_few_things_a_device_however_many_there_are(run, cloud, listed, folder, monkeypatch):
    run("invite", *listed, "--cards", folder)
    asked = []
    real = Ledger.device_of_token
    monkeypatch.setattr(Ledger, "device_of_token", lambda *each: asked.append(each) or real(*each))
    monkeypatch.setattr(Ledger, "invite", pytest.fail)
    assert run("invite", *listed, "--cards", folder).code == 0
    assert len(asked) == len(NAMES)
