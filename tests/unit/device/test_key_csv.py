"""What `zymkey-iot key --csv` prints on a jig is what `zymkey-fleet allow --from` reads."""

import io
import json
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fleet.device_list import DeviceList, ListedDevice
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]


def new_key_file(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_the_lines_of_many_devices_are_a_list_for_allow(zymkey_iot: Command, tmp_path: Path) -> None:
    lines, fingerprints = "", []
    for number in (1, 2):
        key = f"file:{new_key_file(tmp_path / str(number))}"
        shown = zymkey_iot("key", "--csv", "--name", f"-pi{number}", "--key", key)
        assert (shown.returncode, "host's name" in shown.stderr) == (0, False)
        lines += shown.stdout
        fingerprints.append(json.loads(zymkey_iot("key", "--json", "--key", key).stdout)["fingerprint"])

    listed = DeviceList(file=io.BytesIO(lines.encode()), source="keys.csv", with_keys=True)

    listed.check()
    assert list(listed) == [
        ListedDevice(name=f"-pi{number}", key=fingerprint) for number, fingerprint in enumerate(fingerprints, start=1)
    ]
    assert len(set(fingerprints)) == 2


def test_without_the_option_the_name_is_that_of_the_settings(zymkey_iot: Command, pi: Pi) -> None:
    new_key_file(pi.state / "key.pem")
    assert zymkey_iot("key", "--csv").stdout.startswith("pi-7,SHA256:")


def test_the_name_of_the_host_is_said_to_be_that(zymkey_iot: Command, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "raspberrypi")
    new_key_file(pi.state / "key.pem")
    shown = zymkey_iot("key", "--csv", ZYMKEY_IOT_NAME="")
    assert shown.stdout.startswith("raspberrypi,SHA256:")
    assert "raspberrypi is this host's name, which a fleet can have once; --name gives another" in shown.stderr


def test_csv_and_json_are_not_asked_for_at_once(zymkey_iot: Command) -> None:
    with pytest.raises(SystemExit, match="2"):
        zymkey_iot("key", "--csv", "--json")
