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
    """A device after a renewal that the operator has asked for."""

    def __init__(self, sandbox: Any, cloud: Cloud, folder: Path) -> None:
        fleet = operator(sandbox.env)
        self.pi = RaspberryPi(new_name(), sandbox.env, folder)
        self.pi.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=fleet("invite", self.pi.name, "--json").json["token"])
        self.old = self.pi.certificate_id
        fleet("renew", self.pi.name)
        self.pi.zymkey_iot("renew")
        self.new = self.pi.certificate_id
        assert self.new != self.old
        self._cloud = cloud

    @property
    def certificates(self) -> dict[str, str]:
        return self._cloud.certificates_of(self.pi.name)

    @property
    def both_work(self) -> bool:
        return self.certificates == {self.old: "ACTIVE", self.new: "ACTIVE"}

    @property
    def the_old_one_is_off(self) -> bool:
        return self.certificates == {self.old: "INACTIVE", self.new: "ACTIVE"}


def test_a_certificate_s_own_word_over_https_switches_the_one_before_it_off(
    sandbox: Any, cloud: Cloud, tmp_path: Path
) -> None:
    device = Renewed(sandbox, cloud, tmp_path)
    topic = cloud.get("/configuration").json()["lifecycle"]["confirm"]
    mine, word = topic.replace("{certificate}", device.new), json.dumps({"device": device.pi.name})
    assert device.both_work

    # A certificate cannot speak for another one, nor another device for this one.
    device.pi.zymkey_iot("publish", topic.replace("{certificate}", device.old), word, code=10)
    stranger = Renewed(sandbox, cloud, tmp_path / "stranger")
    stranger.pi.zymkey_iot("publish", mine, word, code=10)
    device.pi.zymkey_iot("publish", "devices/{device}/t", "1")
    assert device.both_work

    device.pi.zymkey_iot("publish", mine, word)
    until(lambda: device.the_old_one_is_off)
    assert stranger.both_work
    last = cloud.ledger.history(device.pi.name)[-1]
    assert (last.what, last.by, last.detail) == ("certificate deactivated", "seen", device.old)
    device.pi.zymkey_iot("publish", "devices/{device}/t", "1")

    # The stranger connects over MQTT, as its programs do: that is proof enough.
    stranger.pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")
    until(lambda: stranger.the_old_one_is_off)
