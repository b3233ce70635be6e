"""The ledger's table is deleted, and comes back from a backup, and no device notices."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud.commands import Command, RaspberryPi, operator
from tests.support.cloud.enrollment import Cloud, new_name

pytestmark = pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)


def test_a_ledger_that_is_gone_comes_back_from_a_file_and_no_device_notices(sandbox: Any, tmp_path: Path) -> None:
    cloud, fleet, administrator = Cloud(sandbox), operator(sandbox.env), Command("zymkey-fleet", sandbox.env)
    dynamodb, table = sandbox.boto("dynamodb"), sandbox.outputs["LedgerTable"]
    enrolled, invited = (RaspberryPi(new_name(), sandbox.env, tmp_path / name) for name in ("enrolled", "invited"))
    token = {pi.name: fleet("invite", pi.name, "--json").json["token"] for pi in (enrolled, invited)}
    enrolled.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=token[enrolled.name])
    before, devices = enrolled.certificate_id, fleet("list", "--json").json
    file = tmp_path / "ledger.jsonl"
    fleet("backup", file)
    assert token[invited.name] not in file.read_text()

    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    enrolled.zymkey_iot("publish", "devices/{device}/t", "1")
    assert enrolled.zymkey_iot("renew", "--give-up-after", "0s", code=None).code == 8
    assert enrolled.certificate_id == before
    fleet("restore", file, code=5)  # an operator may not make tables

    assert administrator("restore", file, "--json").json["tableMade"]

    assert fleet("list", "--json").json == devices
    assert enrolled.zymkey_iot("bootstrap", "--json").json["certificateId"] == before
    fleet("renew", enrolled.name)
    enrolled.zymkey_iot("renew")
    assert cloud.certificates_of(enrolled.name)[enrolled.certificate_id] == "ACTIVE"
    invited.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=token[invited.name])
    found = fleet("audit", "--json", code=None).json
    assert [each for each in found if each["device"] in (enrolled.name, invited.name)] == []
