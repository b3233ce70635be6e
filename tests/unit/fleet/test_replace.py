"""replace: the old key's certificates are off, a new key may come, and an interruption is finished by the next one."""

import re
import shlex
import time

import pytest

from fleet.certificates import reactivate
from ledger import Blocked, CertificateState, State, WrongState
from ledger.token import token_hash
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import URL, enroll, renew, status


@pytest.fixture
def device(cloud):
    """The key and the certificates of pi-1, of which one was superseded by a renewal."""
    key = new_key()
    return key, [enroll(cloud, "pi-1", key), renew(cloud, "pi-1", key)]


def claim(cloud, token, key, name="pi-1"):
    now = int(time.time())
    return cloud.ledger.claim(
        name, fingerprint=fingerprint(key), token_hash=token_hash(token), lease="mine", lease_until=now + 25, now=now
    )


def test_a_token_lets_another_key_in_and_the_old_one_s_certificates_are_off(run, cloud, device):
    key, certificates = device
    other = enroll(cloud, "pi-2")
    answer = run("replace", "pi-1", "--json")
    assert answer.code == 0
    assert answer.json == {
        "name": "pi-1",
        "state": "invited",
        "replacedKey": fingerprint(key),
        "fingerprint": None,
        "token": answer.json["token"],
        "expires": answer.json["expires"],
        "deactivated": answer.json["deactivated"],
        "command": f"zymkey-iot bootstrap {URL} --name pi-1 --token-file -",
    }
    assert sorted(answer.json["deactivated"]) == sorted(each.certificate_id for each in certificates)
    assert [status(cloud, each) for each in [*certificates, other]] == ["INACTIVE", "INACTIVE", "ACTIVE"]
    with pytest.raises(Blocked):
        claim(cloud, answer.json["token"], key)
    assert claim(cloud, answer.json["token"], new_key()).state is State.PENDING


def test_a_person_gets_the_command_and_the_token_on_lines_of_their_own(run, cloud, device):
    answer = run("replace", "pi-1", "--expires", "7d")
    assert re.fullmatch(r"zymkey-iot bootstrap \S+ --name pi-1 --token-file -\n\S{43}\n", answer.out)
    assert f"The key {fingerprint(device[0])} is blocked; certificates switched off: 2." in answer.err
    shown = run("show", "pi-1", "--json").json
    assert shown["replaced"] is not None
    assert [each["what"] for each in run("history", "pi-1", "--json").json][-4:-1].count("certificate deactivated") == 2


def test_a_key_that_is_named_takes_over_and_typed_again_nothing_changes(run, cloud, device):
    new = new_key()
    command = ["replace", "pi-1", "--key", fingerprint(new), "--json"]
    first = run(*command).json
    assert (first["fingerprint"], first["token"], first["replacedKey"]) == (
        fingerprint(new),
        None,
        fingerprint(device[0]),
    )
    renewed = renew(cloud, "pi-1", new)
    history = cloud.ledger.history("pi-1")
    again = run(*command).json
    assert (again["state"], again["replacedKey"]) == ("enrolled", None)
    assert cloud.ledger.history("pi-1") == history
    assert status(cloud, renewed) == "ACTIVE"
    assert run("replace", "pi-1", "--key", fingerprint(new), "--dry-run").out.splitlines()[1].split()[:3] == [
        *("pi-1", "would", "stay")
    ]


def test_what_an_interruption_left_on_is_switched_off_by_the_same_command_or_by_the_audit(run, cloud, device, aws):
    now = int(time.time())
    for finish in (("replace", "pi-1"), ("audit", "--fix")):
        key = new_key()
        if finish[0] == "audit":
            token = run("replace", "pi-1", "--json").json["token"]
            claim(cloud, token, key)
            cloud.ledger.release("pi-1", lease="mine")
            device[1][:] = [renew(cloud, "pi-1", key)]
        cloud.ledger.replace_by_token("pi-1", token_hash="0" * 64, token_expires=now + 60, by="alice", now=now)
        assert [status(cloud, each) for each in device[1]] == ["ACTIVE"] * len(device[1])  # the battery was empty
        run(*finish)
        assert [status(cloud, each) for each in device[1]] == ["INACTIVE"] * len(device[1])


def test_a_certificate_that_is_switched_on_while_its_device_is_replaced_is_off_again(cloud, device, run):
    """``unblock``, and in between somebody else's ``replace``."""
    from fleet.arguments import add_deployment
    from fleet.cli import SafeParser
    from fleet.deployment import open_deployment

    parser = SafeParser()
    add_deployment(parser)
    run("block", "pi-1")
    certificate = cloud.ledger.certificate("pi-1", device[1][1].certificate_id)
    run("replace", "pi-1")
    with pytest.raises(WrongState):
        reactivate(certificate, open_deployment(parser.parse_args([])))
    assert status(cloud, certificate) == "INACTIVE"


def test_a_dry_run_says_what_would_happen_and_changes_nothing(run, cloud, device):
    before = cloud.ledger.history("pi-1"), cloud.ledger.device("pi-1")
    row = run("replace", "pi-1", "--dry-run", "--json").json[0]
    assert row["would"] == (
        f"block the key {fingerprint(device[0])}, switch off its certificates: 2, let in the first key that shows a "
        "new token"
    )
    assert (cloud.ledger.history("pi-1"), cloud.ledger.device("pi-1")) == before


def test_a_card_has_the_token_and_nothing_else_has_it(run, cloud, device, tmp_path):
    answer = run("replace", "pi-1", "--cards", tmp_path / "cards", "--json")
    (record,) = answer.json
    text = (tmp_path / "cards" / "pi-1" / "zymkey-iot.toml").read_text()
    token = re.search(r'token = "(\S+)"', text)[1]
    assert token not in answer.out + answer.err
    assert record["card"].endswith("pi-1/zymkey-iot.toml")
    assert claim(cloud, token, new_key()).state is State.PENDING


def test_there_has_to_be_a_key_to_replace(run, cloud, device):
    key = fingerprint(device[0])
    run("invite", "pi-2")
    run("block", "pi-2")
    run("invite", "pi-3")
    for words, cause, cure in [
        (["pi-9"], "There is no device 'pi-9'.", "zymkey-fleet list"),
        (["pi-2"], "is blocked, and has no key yet", "zymkey-fleet unblock pi-2"),
        (["pi-3"], "is invited, and has no key yet", "zymkey-fleet invite pi-3"),
        (["pi-1", "--key", key], f"is enrolled already with the key {key}", "zymkey-fleet show pi-1"),
        (["pi-3", "--key", key], "has no key yet", "zymkey-fleet show pi-1, which has this key"),
    ]:
        for dry in ([], ["--dry-run", "--csv"]):
            answer = run("replace", *words, *dry)
            assert answer.code == 1
            assert cause in answer.out + answer.err
            assert f"Try: {cure}" in answer.out + answer.err
    assert run("replace", "pi-1", "--key", key, "--expires", "1h").code == 2


def test_who_invites_or_allows_a_replaced_device_is_told_to_replace_it_again(run, cloud, device):
    run("replace", "pi-1")
    new = fingerprint(new_key())
    for words, replace in [
        (["invite", "pi-1"], "zymkey-fleet replace pi-1"),
        (["allow", "pi-1", "--key", new], f"zymkey-fleet replace --key {new} pi-1"),
    ]:
        answer = run(*words)
        assert (answer.code, answer.err.partition("\nTry: ")[2].strip()) == (1, replace)
        assert run(*shlex.split(replace)[1:]).code == 0


def test_a_replaced_key_is_let_in_under_another_name_by_an_operator_who_names_it(run, cloud, device):
    old, new = fingerprint(device[0]), fingerprint(new_key())
    run("replace", "pi-1", "--key", new)
    assert run("allow", "spare", "--key", old).code == 0
    assert cloud.ledger.device_of_key(old).name == "spare"
    assert {each.state for each in cloud.ledger.certificates("pi-1")} == {CertificateState.DEACTIVATED}
