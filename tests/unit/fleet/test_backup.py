"""A ledger goes into a file and comes back from it, also when its table is gone, and never half or into another one."""

import json
import stat

import pytest
from botocore.exceptions import ClientError

from fleet import backup_file
from ledger import Ledger, Turns
from tests.support.fleet.deployment import deploy, enroll
from tests.support.ledger import NOW, TOKEN_HASH, invite

DEVICES = 40  # each is three items: more than a transaction takes


@pytest.fixture
def full(cloud):
    """A ledger with devices in every state, a device that was removed, and what only a moment needs."""
    for number in range(DEVICES):
        invite(cloud.ledger, f"new-{number}", expires=NOW + number)
    for name in ("pi-1", "pi-2", "pi-3"):
        enroll(cloud, name, registered=False)
    cloud.ledger.block("pi-2", by="alice", now=NOW)
    cloud.ledger.hold_for_approval(fingerprint="SHA256:" + "w" * 43, suggested_name="x", now=NOW)
    cloud.ledger.take_turn(Turns(per_second=10), now=NOW * 1000)
    return cloud


def items(aws, table):
    pages = aws("dynamodb").get_paginator("scan").paginate(TableName=table)
    found = {(each["pk"]["S"], each["sk"]["S"]): each for page in pages for each in page["Items"]}
    for key in [("turns", "turns"), ("requests-counted", "requests-counted")]:
        found.pop(key, None)
    return {
        key: {name: value for name, value in item.items() if not name.startswith("lease")}
        for key, item in found.items()
    }


def lose(aws, table):
    aws("dynamodb").delete_table(TableName=table)
    with pytest.raises(ClientError):
        aws("dynamodb").describe_table(TableName=table)


def test_a_ledger_whose_table_is_gone_comes_back_under_its_name_as_it_was(run, full, aws, tmp_path):
    before, file = items(aws, full.table), tmp_path / "ledger.jsonl"
    said = run("backup", file, "--json")
    assert said.code == 0
    lose(aws, full.table)

    dry = run("restore", file, "--dry-run", "--json").json
    assert (dry["tableMade"], dry["items"]) == (True, len(before))
    answer = run("restore", file)

    assert answer.code == 0, answer.err
    assert "Its table was gone, and was made again" in answer.err
    assert items(aws, full.table) == before
    table = aws("dynamodb").describe_table(TableName=full.table)["Table"]
    assert table["DeletionProtectionEnabled"]
    assert {each.name for each in full.ledger.devices()} >= {"pi-1", "pi-2", "new-0"}
    # Who was invited before enrolls with their token afterwards.
    assert full.ledger.device_of_token("new-0", TOKEN_HASH) is not None
    aws("dynamodb").update_table(TableName=full.table, DeletionProtectionEnabled=False)


def test_the_file_is_its_owners_alone_and_is_never_written_over(run, full, tmp_path):
    file = tmp_path / "ledger.jsonl"
    assert run("backup", file).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    again = run("backup", file)
    assert (again.code, file.read_bytes()) == (1, content)
    assert "cannot be written: File exists" in again.err
    assert list(tmp_path.iterdir()) == [file]


def test_the_lines_are_json_and_say_where_they_are_from(run, full, tmp_path):
    file = tmp_path / "ledger.jsonl"
    run("backup", file)
    header, *lines, trailer = map(json.loads, file.read_text().splitlines())
    assert (header["zymkey-fleet-backup"], header["fleet"], header["table"]) == (1, full.fleet, full.table)
    assert trailer["items"] == len(lines)
    assert not any({"lease", "lease_until"} & set(each) or each["pk"] == "turns" for each in lines)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[: len(text) // 2], "it ends early"),
        (lambda text: text[: text.rindex('{"items"')], "it ends early"),
        (lambda text: text.replace('"pi-1"', '"pi-7"', 1), "does not fit the lines before"),
        (lambda text: text + '{"pk": "x"}\n', "does not fit the lines before"),
        (lambda text: "", "it ends early"),
        (lambda text: "hello\n", "no JSON object"),
        (lambda text: '{"a": 1}\n', "it does not begin as one"),
    ],
)
def test_a_file_that_is_not_whole_writes_nothing(run, full, aws, tmp_path, spoil, why):
    file = tmp_path / "ledger.jsonl"
    run("backup", file)
    file.write_text(spoil(file.read_text()))
    empty = deploy(aws, pytest.MonkeyPatch(), "kms")
    answer = run("restore", file, "--fleet", empty.fleet)
    assert (answer.code, why in answer.err) == (1, True), answer.err
    assert items(aws, empty.table) == {}


def test_a_ledger_with_devices_is_left_alone(run, full, aws, tmp_path):
    file = tmp_path / "ledger.jsonl"
    run("backup", file)
    full.ledger.erase("new-0")
    for words in (["restore", file], ["restore", file, "--dry-run"]):
        answer = run(*words)
        assert (answer.code, "a backup is restored into an empty one" in answer.err) == (1, True)
    assert full.ledger.device("new-0") is None


def test_the_backup_of_another_fleet_is_refused(run, full, aws, monkeypatch, tmp_path):
    file = tmp_path / "ledger.jsonl"
    run("backup", file)
    other = deploy(aws, monkeypatch, "kms")
    answer = run("restore", file)
    assert (answer.code, other.fleet in answer.err) == (1, True)


def test_a_restore_that_breaks_off_is_finished_by_the_same_command_and_by_no_other_file(
    run, full, aws, monkeypatch, tmp_path
):
    before, file, other = items(aws, full.table), tmp_path / "ledger.jsonl", tmp_path / "other.jsonl"
    run("backup", file)
    full.ledger.erase("new-1")
    run("backup", other)
    for pk, sk in items(aws, full.table):
        aws("dynamodb").delete_item(TableName=full.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    real = Ledger.put_back

    def breaks_off(ledger, coming):
        counts = real(ledger, coming)
        yield next(counts)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "put_back", breaks_off)
        assert run("restore", file).code == 130
    invite(full.ledger, "since")  # somebody works meanwhile
    assert "has to be finished first" in run("restore", other).err

    answer = run("restore", file)

    assert (answer.code, "100 were there already" in answer.err) == (0, True), answer.err
    full.ledger.erase("since")
    assert items(aws, full.table) == before


def test_no_write_of_a_restore_is_larger_than_a_transaction(cloud, aws, monkeypatch):
    """DynamoDB takes 4 MB. What an audit with ten thousand findings has found is 2 MB, and there is one every day."""
    client, sizes = aws("dynamodb"), []
    real = client.transact_write_items

    def written(TransactItems):  # noqa: N803
        sizes.append(len(json.dumps(TransactItems)))
        return real(TransactItems=TransactItems)

    monkeypatch.setattr(client, "transact_write_items", written)
    found = [{"pk": "audit", "sk": f"findings#{each:03}", "findings": "x" * 100_000} for each in range(60)]

    assert sum(Ledger(client=client, table=cloud.table).put_back(found)) == len(found)

    assert 1 < len(sizes) < 10
    assert max(sizes) < 4_000_000


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    file = tmp_path / "ledger.jsonl"
    header = backup_file.Header(fleet="f", region="r", table="t", at="now")
    backup_file.write(file, header, ({"pk": f"p{each}", "sk": "s"} for each in range(3)), wrote=lambda _: None)
    backup = backup_file.read(file)
    file.write_text(file.read_text().replace("p1", "p7"))
    with pytest.raises(Exception, match="changed while it was read"):
        list(backup)
