"""What made a bootstrap work is there for every later run; what a failed one tried is not; and one can take it back."""

import argparse
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device.candidate import Candidate
from device.settings import load
from device.store import StateFolder
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

NETWORK, BUSY = 4, 8


def kept(pi: Pi) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((pi.state / "device.json").read_text())
    return document


def forget_everything(pi: Pi) -> None:
    """From here on the device knows what its state folder holds, as under the timer."""
    for variable in list(pi.environment):
        if variable != "ZYMKEY_IOT_STATE":
            del pi.environment[variable]


def test_later_runs_need_none_of_the_options_of_the_bootstrap_that_worked(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = Path(pi.environment.pop("CA_BUNDLE"))
    monkeypatch.chdir(roots.parent)
    est.configuration |= {"dataEndpoint": "elsewhere.invalid", "httpsPort": 1}
    options = ("--ca-file", roots.name, "--endpoint", "localhost", "--https-port", str(endpoint.port))
    key = ("--key", f"file:{os.path.relpath(pi.state, roots.parent)}/key.pem")
    assert zymkey_iot("bootstrap", *options, *key, "--mqtt-port", "4443", "--tls", "signer").returncode == 0
    forget_everything(pi)
    monkeypatch.chdir("/")

    for command in (("publish", "devices/pi-7/x", "x"), ("renew",), ("bootstrap",), ("config", "curl")):
        done = zymkey_iot(*command)
        assert done.returncode in (0, 13), (command, done.stderr)

    assert kept(pi) == {
        "url": est.url,
        "name": "pi-7",
        "key": f"file:{roots.parent}/{os.path.relpath(pi.state, roots.parent)}/key.pem",
        "ca-file": str(roots),
        "endpoint": "localhost",
        "https-port": endpoint.port,
        "mqtt-port": 4443,
        "tls": "signer",
        "fingerprint": json.loads(zymkey_iot("key", "--json").stdout)["fingerprint"],
    }
    shown = zymkey_iot("status").stdout
    for value in (str(roots), "localhost", str(endpoint.port), "4443", "signer"):
        assert f"{value} ({pi.state}/device.json)" in shown


def test_an_option_wins_over_what_is_kept_replaces_it_and_an_empty_one_takes_it_back(
    pi: Pi, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap", "--endpoint", "127.0.0.1", "--https-port", str(endpoint.port)).returncode == 0
    assert kept(pi)["endpoint"] == "127.0.0.1"

    assert zymkey_iot("bootstrap", "--endpoint", "localhost").returncode == 0
    assert (kept(pi)["endpoint"], kept(pi)["https-port"]) == ("localhost", endpoint.port)

    assert zymkey_iot("bootstrap", "--endpoint", "", "--https-port", "").returncode == 0
    assert not {"endpoint", "https-port"} & set(kept(pi))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ca-file", "/etc/roots.pem"),
        ("endpoint", "localhost"),
        ("https-port", 443),
        ("mqtt-port", 443),
        ("proxy", "http://proxy.example:3128"),
        ("no-proxy", "localhost"),
    ],
)
def test_an_empty_value_is_none_whatever_is_kept(tmp_path: Path, setting: str, value: object) -> None:
    (tmp_path / "device.json").write_text(json.dumps({"url": "https://abc.example", "name": "pi-7", setting: value}))
    (tmp_path / "zymkey-iot.toml").write_text(f'{setting} = ""')
    attribute = setting.replace("-", "_")

    def found(file: str = "none", **options: str) -> object:
        environ = {"ZYMKEY_IOT_STATE": str(tmp_path)}
        return getattr(load(argparse.Namespace(**options), environ=environ, files=[tmp_path / file]), attribute)

    assert str(found()) == str(value)
    assert found(**{attribute: ""}) is None
    assert found("zymkey-iot.toml") is None


def test_settings_with_which_a_bootstrap_failed_replace_none_that_work(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command, tmp_path: Path
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    before = pi.files()
    (tmp_path / "other.pem").write_bytes(Path(pi.environment["CA_BUNDLE"]).read_bytes())

    wrong = ("--endpoint", "127.0.0.1", "--https-port", "1", "--ca-file", str(tmp_path / "other.pem"))
    assert zymkey_iot("bootstrap", *wrong, "--give-up-after", "0s").returncode == NETWORK

    assert pi.files() == before
    forget_everything(pi)
    assert zymkey_iot("bootstrap").returncode == 0


def test_a_first_bootstrap_that_failed_at_a_wrong_endpoint_is_repeated_without_it(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    wrong = ("--endpoint", "127.0.0.1", "--https-port", "1", "--tls", "signer")
    assert zymkey_iot("bootstrap", *wrong, "--give-up-after", "0s").returncode == NETWORK
    assert not (pi.state / "device.json").exists()
    forget_everything(pi)

    assert zymkey_iot("bootstrap").returncode == 0, "the roots were right, since the enrollment worked"

    assert len(est.enrollments) == 1
    assert not {"endpoint", "https-port", "tls"} & set(kept(pi))


def test_a_wrong_endpoint_at_a_due_renewal_gives_way_to_the_one_that_is_proved(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    est.configuration["httpsPort"] = 1
    est.valid_since, est.valid_for = timedelta(days=-90), timedelta(days=100)
    assert zymkey_iot("bootstrap", "--https-port", str(endpoint.port)).returncode == 0
    est.issued.clear()
    est.valid_since = timedelta(0)
    forget_everything(pi)

    wrong = ("--https-port", "2", "--tls", "signer", "--give-up-after", "0s")
    assert zymkey_iot("bootstrap", *wrong).returncode == NETWORK
    assert kept(pi)["https-port"] == endpoint.port
    assert zymkey_iot("bootstrap").returncode == 0

    assert kept(pi)["https-port"] == endpoint.port
    assert "tls" not in kept(pi)
    assert len(est.enrollments) == 2


def test_a_right_endpoint_that_was_busy_is_kept_for_the_next_try(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    est.configuration["httpsPort"] = 1
    endpoint.statuses = [503]
    given = ("--https-port", str(endpoint.port), "--give-up-after", "0s")
    assert zymkey_iot("bootstrap", *given).returncode == BUSY
    forget_everything(pi)

    assert zymkey_iot("bootstrap").returncode == 0
    assert kept(pi)["https-port"] == endpoint.port


def test_a_first_bootstrap_that_waits_is_continued_with_all_its_settings(
    pi: Pi, est: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    est.configuration["httpsPort"] = 1
    est.answers = [Answer(202, b"", {"Retry-After": "3600"})]
    assert zymkey_iot("bootstrap", "--https-port", str(endpoint.port)).returncode == 7
    forget_everything(pi)

    assert json.loads(zymkey_iot("status", "--json").stdout)["name"] == "pi-7"
    assert zymkey_iot("wait").returncode == 0

    assert kept(pi)["https-port"] == endpoint.port


def test_a_renewal_that_waits_for_a_signature_notes_nothing_new(pi: Pi, est: EstServer, zymkey_iot: Command) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    before = pi.files()
    est.answers = [Answer(202, b"", {"Retry-After": "3600"})]

    assert zymkey_iot("renew").returncode == 7

    assert pi.files() == before


def test_what_stands_in_a_settings_file_is_not_copied(
    pi: Pi, zymkey_iot: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "zymkey-iot.toml"
    settings.write_text(f'ca-file = "{pi.environment.pop("CA_BUNDLE")}"\nno-proxy = "localhost"\n')
    monkeypatch.setattr(load, "__kwdefaults__", {**(load.__kwdefaults__ or {}), "files": [settings]})

    assert zymkey_iot("bootstrap").returncode == 0

    assert set(kept(pi)) == {"url", "name", "key", "fingerprint"}


def test_the_help_says_that_these_are_kept_and_how_one_is_taken_back(pi: Pi) -> None:
    said = " ".join(pi.run("bootstrap", "--help").stdout.split())

    assert "A bootstrap that works keeps these for every later run" in said
    assert "An empty value ('') takes one back" in said


# Who may read it


@pytest.mark.parametrize(
    ("proxy", "mode"), [("http://user:secret@proxy.example:3128", 0o600), ("http://proxy.example:3128", 0o644)]
)
def test_a_proxys_password_is_for_the_owner_alone_and_shown_to_nobody(
    pi: Pi, zymkey_iot: Command, proxy: str, mode: int
) -> None:
    before = os.umask(0)
    try:
        given = {"HTTPS_PROXY": proxy, "NO_PROXY": "localhost"}
        assert zymkey_iot("bootstrap", **given).returncode == 0
    finally:
        os.umask(before)

    assert (pi.state / "device.json").stat().st_mode & 0o777 == mode
    assert (kept(pi)["proxy"], kept(pi)["no-proxy"]) == (proxy, "localhost")
    for command in (("status",), ("status", "--json"), ("bootstrap",), ("bootstrap", "--json")):
        said = zymkey_iot(*command)
        assert "secret" not in said.stdout + said.stderr
    assert "proxy.example:3128" in zymkey_iot("status").stdout

    assert zymkey_iot("bootstrap", "--proxy", "", "--no-proxy", "").returncode == 0
    assert not {"proxy", "no-proxy"} & set(kept(pi))
    assert (pi.state / "device.json").stat().st_mode & 0o777 == 0o644


def test_the_candidate_is_for_the_owner_alone(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.keep_candidate(Candidate(device={"proxy": "http://user:secret@proxy.example:3128"}, certificate=b"c"))

    assert folder.candidate_path.stat().st_mode & 0o777 == 0o600


def test_a_candidate_comes_back_byte_by_byte(tmp_path: Path) -> None:
    whole = Candidate(device={"name": "ü"}, certificate=b"\r\n\xff\xfe\x80", configuration=bytes(range(256)))

    assert Candidate.from_json(whole.to_json()) == whole


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"null", b'{"device": 1}', b'{"device": {}}', b"\xff"),
        b'{"device": {}, "certificate": 1, "configuration": null}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_candidate_is_none(data: bytes) -> None:
    assert Candidate.from_json(data) is None
