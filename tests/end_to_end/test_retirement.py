"""After a renewal the old certificate works on until the new one was seen in use, and is off at once then."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud.commands import RaspberryPi, operator, until
from tests.support.cloud.enrollment import Cloud, new_name

pytestmark = pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)


@pytest.fixture
def cloud(sandbox: Any) -> Cloud:
    return Cloud(sandbox)


class Renewed:
    """A device after a renewal that the operator has asked for, whose programs cannot be told yet: a hook fails."""

    def __init__(self, sandbox: Any, cloud: Cloud, folder: Path) -> None:
        hooks = folder / "on-renew.d"
        hooks.mkdir(parents=True)
        self._hook = hooks / "10-restart"
        fleet = operator(sandbox.env)
        self.pi = RaspberryPi(new_name(), {**sandbox.env, "ZYMKEY_IOT_ON_RENEW": str(hooks)}, folder)
        self.pi.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=fleet("invite", self.pi.name, "--json").json["token"])
        self.old = self.pi.certificate_id
        self._hook.write_text("#!/bin/sh\nexit 1\n")
        self._hook.chmod(0o755)
        fleet("renew", self.pi.name)
        self.pi.zymkey_iot("renew", code=15)
        self.new = self.pi.certificate_id
        assert self.new != self.old
        self._cloud = cloud

    def repair_the_hook(self) -> None:
        self._hook.write_text("#!/bin/sh\nexit 0\n")

    @property
    def certificates(self) -> dict[str, str]:
        return self._cloud.certificates_of(self.pi.name)

    @property
    def both_work(self) -> bool:
        return self.certificates == {self.old: "ACTIVE", self.new: "ACTIVE"}

    @property
    def the_old_one_is_off(self) -> bool:
        return self.certificates == {self.old: "INACTIVE", self.new: "ACTIVE"}


def test_when_the_new_certificate_is_seen_the_old_one_is_off_and_not_before(
    sandbox: Any, cloud: Cloud, tmp_path: Path
) -> None:
    device = Renewed(sandbox, cloud, tmp_path / "device")
    topic = cloud.get("/configuration").json()["lifecycle"]["confirm"]
    mine, word = topic.replace("{certificate}", device.new), json.dumps({"device": device.pi.name})

    # A certificate cannot speak for another one, nor another device for this one; nor is a message the proof.
    device.pi.zymkey_iot("publish", topic.replace("{certificate}", device.old), word, code=10)
    other = Renewed(sandbox, cloud, tmp_path / "other")
    other.pi.zymkey_iot("publish", mine, word, code=10)
    device.pi.zymkey_iot("publish", "devices/{device}/t", "1")
    assert device.both_work

    # The timer's next run tells the programs, and then the cloud.
    device.repair_the_hook()
    device.pi.zymkey_iot("renew", "--if-due", code=13)
    until(lambda: device.the_old_one_is_off)
    last = cloud.ledger.history(device.pi.name)[-1]
    assert (last.what, last.by, last.detail) == ("certificate deactivated", "seen", device.old)
    device.pi.zymkey_iot("publish", "devices/{device}/t", "1")

    # The other one connects over MQTT, as its programs do: that is proof enough.
    assert other.both_work
    other.pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")
    until(lambda: other.the_old_one_is_off)
