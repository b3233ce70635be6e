"""A CA in KMS is rotated, led by `ca rotate`: another issues, the first one is retired, its key goes."""

import shutil
from typing import Any

import pytest
from cryptography import x509

from pki.fingerprint import certificate_id
from sandbox.errors import SandboxError
from tests.end_to_end.live_deployment.audit import a_month_later_it_is_gone
from tests.end_to_end.live_deployment.fleet import ACCESS_LOG, NEW, OLD, Fleet, assert_all_work, issuer_of
from tests.support.cloud.commands import RaspberryPi, until


def another_ca_under_the_same_name_is_refused_and_taken_back(fleet: Fleet, veteran: RaspberryPi) -> None:
    before = fleet.authorities(), fleet.registered()

    with pytest.raises(SandboxError):
        fleet.deploy(OLD | {"commonName": "another CA"})

    assert "cannot become CN=another CA,O=Acme" in fleet.what_cdk_said()
    assert "add another after it, under a new name" in fleet.what_cdk_said()
    assert (fleet.authorities(), fleet.registered()) == before
    assert_all_work([veteran])


def a_second_ca_issues_from_now_on(fleet: Fleet, veteran: RaspberryPi) -> RaspberryPi:
    """To the device in the field nothing happens. Returns one that is new."""
    certificate = veteran.certificate_pem
    assert "is the newest, which issues" in fleet.zymkey_fleet("ca", "retire", "2026", code=1).err

    fleet.deploy(OLD, NEW, mqttWithoutThing="try")

    old_ca, new_ca = (fleet.authorities()[name] for name in ("the old CA", "the new CA"))
    assert set(fleet.authorities()) == {"the old CA", "the new CA"}
    assert fleet.registered() == {certificate_id(old_ca): "ACTIVE", certificate_id(new_ca): "ACTIVE"}
    shutil.rmtree(veteran.state)
    veteran.zymkey_iot("bootstrap")
    assert veteran.certificate_pem == certificate
    newcomer = fleet.new_device()
    x509.load_pem_x509_certificate(newcomer.certificate_pem).verify_directly_issued_by(new_ca)
    assert_all_work([veteran, newcomer])
    return newcomer


def the_next_step_is(fleet: Fleet, *steps: str, of: str = "2026") -> dict[str, Any]:
    """What `ca rotate` says can be done now; returns all that it says. None: the rotation is done."""
    said: dict[str, Any] = fleet.zymkey_fleet("ca", "rotate", of, "--json", code=1 if steps else 0).json
    assert [each["id"] for each in said["steps"] if each["state"] == "now"] == list(steps)
    assert said["done"] is not bool(steps)
    return said


def the_first_one_is_retired_once_no_device_stands_on_it(
    fleet: Fleet, veteran: RaspberryPi, newcomer: RaspberryPi
) -> None:
    old_ca, old_id = certificate_id(fleet.authorities()["the old CA"]), veteran.certificate_id
    refused = fleet.zymkey_fleet("ca", "retire", "2026", code=1).err
    assert f"still held by {veteran.name}." in refused
    assert fleet.registered()[old_ca] == "ACTIVE"

    # Renewals bring everybody over; what they leave behind is switched off once the new certificate was seen in use.
    left = the_next_step_is(fleet, "devices")["left"]
    assert (left["devices"], left["current"]) == (1, 1)
    asked = fleet.zymkey_fleet("renew", "--state", "enrolled", "--issued-by", "2026", "--yes", "--json").json
    assert [each["name"] for each in asked] == [veteran.name]
    assert "Renewed" in veteran.zymkey_iot("renew").out
    assert issuer_of(veteran) == "the new CA"
    until(lambda: fleet.cloud.certificates_of(veteran.name)[old_id] == "INACTIVE")
    fleet.run("superseded")
    assert fleet.cloud.certificates_of(veteran.name) == {old_id: "INACTIVE", veteran.certificate_id: "ACTIVE"}
    a_month_later_it_is_gone(fleet, veteran, old_id)

    # Retired: AWS IoT takes nothing of it any more, and the fleet works on.
    the_next_step_is(fleet, "retire")
    retired = fleet.zymkey_fleet("ca", "retire", "2026", "--json").json
    setting = {"certificateAuthorities": [{"name": "2026", "retired": True}]}
    assert retired == {"name": "2026", "certificateIds": [old_ca], "retired": True, "setting": setting}
    assert fleet.registered()[old_ca] == "INACTIVE"
    assert the_next_step_is(fleet, "setting")["steps"][3]["setting"] == setting
    assert_all_work([veteran, newcomer, fleet.new_device()])
    (undeclared,) = fleet.zymkey_fleet("audit", "--json", code=1).json
    assert (undeclared["kind"], undeclared["certificateId"]) == ("ca-status", old_ca)


def it_stays_retired_by_the_setting(fleet: Fleet, veteran: RaspberryPi) -> RaspberryPi:
    """This deployment updates the registration, whose handler sends the status. Returns a device that is new then.

    It also has what an account with rules of its own demands; the deployment after it has it no more.
    """
    before = fleet.registered()
    rules: dict[str, Any] = {"accessLogGroup": ACCESS_LOG, "tags": {"team": "plant"}, "reservedConcurrency": 20}

    fleet.deploy(OLD | {"retired": True}, NEW, alarmEmail="ops@example.com", mqttWithoutThing="deny", **rules)

    assert fleet.tags() == {"team": "plant"}
    assert ACCESS_LOG in fleet.log_groups()
    assert set(fleet.authorities()) == {"the new CA"}
    assert fleet.registered() == before
    assert fleet.zymkey_fleet("audit", "--json").json == []
    latest = fleet.new_device()
    assert issuer_of(latest) == "the new CA"
    veteran.zymkey_iot("bootstrap", "--mqtt")
    assert "is the newest, which issues" in fleet.zymkey_fleet("ca", "retire", "2027", code=1).err
    return latest


def its_key_goes_and_nothing_is_left_of_the_rotation(fleet: Fleet) -> None:
    """An administrator types what is printed."""
    said = the_next_step_is(fleet, "key")
    (command,) = said["steps"][-1]["type"]
    words = command.split()
    assert words[:4] == ["aws", "kms", "schedule-key-deletion", "--key-id"]
    fleet.sandbox.boto("kms").schedule_key_deletion(KeyId=words[4], PendingWindowInDays=30)
    the_next_step_is(fleet)
    assert "Nothing is left to do." in fleet.zymkey_fleet("ca", "rotate").out
