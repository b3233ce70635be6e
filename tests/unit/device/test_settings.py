"""Five places to look, the first wins, and what is wrong is said with where it was found."""

import argparse
import json
from pathlib import Path

import pytest

from device.errors import DeviceError, UsageError
from device.settings import Settings, load
from device.store import StateFolder

URL = "https://abc.execute-api.eu-central-1.amazonaws.com"


def settings(
    tmp_path: Path, *, options: dict[str, str] | None = None, files: tuple[str, ...] = (), **environ: str
) -> Settings:
    paths = []
    for number, text in enumerate(files):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        paths.append(path)
    environ.setdefault("ZYMKEY_IOT_STATE", str(tmp_path / "state"))
    return load(argparse.Namespace(**(options or {})), environ=environ, files=paths)


def last_bootstrap(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.path.mkdir()
    folder.device_path.write_text(json.dumps({"name": "from-state", "url": URL + "/state", "key": "file:"}))


def test_the_order_is_options_environment_etc_boot_last_bootstrap(tmp_path: Path) -> None:
    last_bootstrap(tmp_path)
    files = ('name = "from-etc"', 'name = "from-boot"')

    assert settings(tmp_path).name == "from-state"
    assert settings(tmp_path, files=files[1:]).name == "from-boot"
    assert settings(tmp_path, files=files).name == "from-etc"
    assert settings(tmp_path, files=files, ZYMKEY_IOT_NAME="from-env").name == "from-env"
    everywhere = settings(tmp_path, options={"name": "given"}, files=files, ZYMKEY_IOT_NAME="from-env")
    assert (everywhere.name, everywhere.sources["name"]) == ("given", "--name")


def test_of_another_systems_files_its_own_settings_are_read(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "zymkey-iot.toml").write_text('state = "/data/device"\ntoken-file = "/etc/token"\n')
    (etc / "token").write_text("Wm9k\n")
    kept = StateFolder(tmp_path / "data" / "device")
    kept.path.mkdir(parents=True)
    kept.device_path.write_text(json.dumps({"name": "from-state", "url": URL, "key": "zymkey:slot=1"}))

    found = load(argparse.Namespace(), environ={}, root=tmp_path)

    assert (found.state, found.token, found.name) == (Path("/data/device"), "Wm9k", "from-state")
    assert (found.url, found.key) == (URL, "zymkey:slot=1")


def test_a_settings_file_says_everything(tmp_path: Path) -> None:
    file = f"""\ufeff
url = "{URL}/.well-known/est/"
name = "pi-7"
token = "Wm9k"
key = "zymkey:slot=1"
ca-file = "/boot/firmware/roots.pem"
certificate = "/boot/firmware/pi-7.crt"
https-port = 443
give-up-after = "2h"
"""
    found = settings(tmp_path, files=(file,))

    assert (found.url, found.name, found.token, found.key) == (URL, "pi-7", "Wm9k", "zymkey:slot=1")
    assert (found.ca_file, found.https_port, found.give_up_after) == (Path("/boot/firmware/roots.pem"), 443, 7200)
    assert found.certificate == Path("/boot/firmware/pi-7.crt")


def test_the_host_name_is_the_last_resort_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "attic-pi.lan")

    found = settings(tmp_path)

    assert (found.name, found.sources["name"]) == ("attic-pi", "this host's name")


def test_a_token_file_is_read_and_a_token_of_a_nearer_place_wins_over_it(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("from-file\n")

    assert settings(tmp_path, options={"token_file": str(token_file)}).token == "from-file"
    assert settings(tmp_path, files=(f'token-file = "{token_file}"',), ZYMKEY_IOT_TOKEN="near").token == "near"


@pytest.mark.parametrize("name", ["pi 7", "", "a" * 65, "pi/7", "pi#", "pi+", "ü"])
def test_a_name_that_no_policy_would_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="1 to 64 letters, digits, - and _") as refused:
        settings(tmp_path, options={"name": name})
    assert "--name" in refused.value.cause


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "http://abc.example"}, "https://"),
        ({"url": "abc.example"}, "https://"),
        ({"url": "https://"}, "looks like"),
        ({"url": "https://user:word@abc.example"}, "looks like"),
        ({"https_port": "0"}, "1 to 65535"),
        ({"mqtt_port": "eight"}, "mqtt-port 'eight' (--mqtt-port)"),
        ({"give_up_after": "soon"}, "90, 90s, 10m"),
        ({"token": "two words"}, "not one word"),
        ({"token_file": "/nowhere/token"}, "/nowhere/token"),
    ],
)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        settings(tmp_path, options=options)
    assert sentence in refused.value.cause


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = pi-7", "is not TOML"),
        ('tokn = "x"', "'tokn', which is no setting"),
        ("name = [1]", "neither text nor a number"),
        ("https-port = true", "neither text nor a number"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        settings(tmp_path, files=(text,))
    assert sentence in refused.value.cause
    assert "0.toml" in refused.value.cause


def test_no_sentence_shows_the_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        settings(tmp_path, options={"token": "secret with a space"})
    assert "secret" not in refused.value.cause + refused.value.cure
    assert "secret" not in repr(settings(tmp_path, options={"token": "secret"}))


def test_a_broken_memory_of_the_last_bootstrap_says_how_to_go_on(tmp_path: Path) -> None:
    last_bootstrap(tmp_path)
    (tmp_path / "state" / "device.json").write_text("{")

    with pytest.raises(DeviceError, match="not a JSON object") as refused:
        settings(tmp_path)
    assert "rm " in refused.value.cure
