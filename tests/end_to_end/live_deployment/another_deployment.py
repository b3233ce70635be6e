"""Another deployment adopts the ledger, the IoT policy and the CA that a destroyed one has left."""

import json
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from pki.fingerprint import certificate_id
from sandbox.addresses import REPOSITORY
from tests.end_to_end.live_deployment.fleet import (
    NEW,
    Fleet,
    assert_all_work,
    issuer_of,
    renews,
)
from tests.support.cloud import domain
from tests.support.cloud.commands import Command, RaspberryPi


def another_deployment_takes_over_what_is_left(
    fleet: Fleet, devices: Sequence[RaspberryPi], folder: Path
) -> dict[str, Any]:
    """By the setting that `zymkey-fleet adopt` writes and this returns. Devices are told the new URL; one renews."""
    before, registered, listed = fleet.cloud.outputs, fleet.registered(), fleet.listed
    adopt = written_by_adopt(fleet, folder)
    key = adopt["certificateAuthorities"]["2027"]
    assert adopt == {
        "ledgerTable": before["LedgerTable"],
        "iotPolicy": before["IotPolicy"],
        "certificateAuthorities": {"2027": key},
    }

    fleet.deploy(NEW, adopt=adopt, domain=domain.SETTING)

    same = ("LedgerTable", "IotPolicy", "Fleet")
    assert {name: fleet.cloud.outputs[name] for name in same} == {name: before[name] for name in same}
    assert fleet.registered() == registered
    assert set(fleet.authorities()) == {"the new CA"}
    assert certificate_id(fleet.authorities()["the new CA"]) in registered
    assert fleet.zymkey_fleet("list", "--json").json == listed
    the_domain_leads_to_the_new_deployment(fleet, devices[1])
    for pi in devices:
        told_the_new_url(fleet, pi)
    assert_all_work(devices)
    renews(fleet, devices[0])
    assert issuer_of(devices[0]) == "the new CA"
    assert issuer_of(fleet.new_device()) == "the new CA"
    assert fleet.zymkey_fleet("audit", "--json").json == []
    return adopt


def with_amazons_issuer_too_and_changed_topics_reach_the_adopted_policy(
    fleet: Fleet, devices: Sequence[RaspberryPi], adopt: dict[str, Any]
) -> None:
    registered = fleet.registered()
    topics = ["plant/{device}/*", "devices/{device}/*"]
    devices[0].zymkey_iot("publish", "plant/{device}/t", "1", code=10)

    fleet.deploy(NEW, issuer="aws", adopt=adopt, domain=domain.SETTING, topics={"publish": topics, "subscribe": topics})

    assert fleet.registered() == registered
    assert fleet.cloud.outputs["IotPolicy"] == adopt["iotPolicy"]
    for pi in devices:
        told_the_new_url(fleet, pi)
    renews(fleet, devices[-1])
    for pi in devices:
        pi.zymkey_iot("publish", "plant/{device}/t", "1")
    assert {each["name"] for each in fleet.zymkey_fleet("list", "--json").json} >= {pi.name for pi in devices}
    assert fleet.zymkey_fleet("audit", "--json").json == []


def written_by_adopt(fleet: Fleet, folder: Path) -> dict[str, Any]:
    """What an administrator's `zymkey-fleet adopt --write` puts into cdk.json."""
    whole = json.loads((REPOSITORY / "cdk.json").read_text())
    whole["context"]["zymkey-fleet"]["certificateAuthorities"] = [NEW]
    (folder / "cdk.json").write_text(json.dumps(whole, indent=2))
    with chdir(folder):
        Command("zymkey-fleet", fleet.sandbox.env)("adopt", "--write")
    adopt: dict[str, Any] = json.loads((folder / "cdk.json").read_text())["context"]["zymkey-fleet"]["adopt"]
    return adopt


def the_domain_leads_to_the_new_deployment(fleet: Fleet, pi: RaspberryPi) -> None:
    """Nobody tells the device anything, and the API that it was bootstrapped with is gone."""
    before = pi.zymkey_iot("status", "--json").json
    assert before["url"] == domain.URL
    assert before["fallbackUrl"] != fleet.sandbox.url
    asked = fleet.way.asked
    renews(fleet, pi)
    assert fleet.way.asked > asked
    assert pi.zymkey_iot("status", "--json").json["url"] == domain.URL


def told_the_new_url(fleet: Fleet, pi: RaspberryPi) -> None:
    """As a person does it on the device. The sandbox's own variable, which would win, is gone from then on."""
    certificate = pi.certificate_pem
    environment = {name: value for name, value in pi.zymkey_iot.environment.items() if name != "ENROLLMENT_URL"}
    pi.zymkey_iot = Command("zymkey-iot", environment)
    pi.zymkey_iot("bootstrap", fleet.sandbox.url)
    assert pi.certificate_pem == certificate
