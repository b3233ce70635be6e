"""A fleet announces another enrollment URL, and a person, a settings file or the card names one: that one wins."""

import json
from pathlib import Path

import pytest

from device.kept_settings import is_same_fleet
from tests.support.device.announced_url import (
    NOT_DUE,
    RENEW,
    beside,
    device,
    kept,
    make_due,
    moved,
    new,
    settings_file,
    urls,
    warnings,
)
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["device", "moved", "new", "settings_file", "zymkey_iot"]


# A person's choice wins


def test_a_url_in_the_settings_file_stays_and_the_announced_one_is_kept_beside_it(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, settings_file: Path
) -> None:
    settings_file.write_text(f'url = "{est.url}"\n')

    done = zymkey_iot(*RENEW)

    assert done.returncode == 0, done.stderr
    assert urls(device) == (est.url, new.url)
    assert f"{new.url} works: kept beside {est.url}, which is set ({settings_file})" in done.stdout
    make_due(est)
    new.asked.clear()
    assert zymkey_iot("renew").returncode == 0
    assert new.asked == [], "it is known to work"

    make_due(est)
    est.answers = [Answer(404)] * 9
    done = zymkey_iot("renew", "--give-up-after", "0s")
    assert done.returncode == 0, done.stderr
    assert urls(device) == (est.url, new.url)
    assert f"{est.url} does not serve: " in done.stdout


def test_a_bootstrap_asks_the_server_that_a_person_names_and_no_other(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    est.answers = [Answer(404)] * 9
    assert zymkey_iot("bootstrap", est.url, "--give-up-after", "0s").returncode == 6
    assert new.asked == []


def test_a_bootstrap_with_the_old_url_is_in_the_same_fleet(
    moved: Pi, est: EstServer, new: EstServer, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap", "--endpoint", "localhost", "--https-port", str(endpoint.port)).returncode == 0
    assert kept(moved)["endpoint"] == "localhost"
    assert zymkey_iot("bootstrap", est.url).returncode == 0
    assert urls(moved) == (est.url, new.url)
    assert kept(moved)["endpoint"] == "localhost", "of another fleet it would be left out"


def test_a_bootstrap_with_the_new_url_keeps_the_old_one_beside_it(
    device: Pi, est: EstServer, new: EstServer, zymkey_iot: Command
) -> None:
    assert zymkey_iot("bootstrap", new.url).returncode == 0
    assert urls(device) == (new.url, est.url)


def test_a_url_that_an_earlier_release_spelled_in_another_way_is_no_second_one(
    device: Pi, est: EstServer, zymkey_iot: Command
) -> None:
    document = kept(device) | {"url": est.url.replace("localhost", "LOCALHOST") + "/"}
    (device.state / "device.json").write_text(json.dumps(document))
    assert zymkey_iot("bootstrap", est.url).returncode == 0
    assert urls(device) == (est.url, None)
    make_due(est)
    (device.state / "device.json").write_text(json.dumps(document))
    assert zymkey_iot("renew").returncode == 0
    assert urls(device) == (est.url, None)


def test_another_fleet_gets_none_of_these_urls(
    moved: Pi, authority: Authority, pki: Path, endpoint: DataEndpoint, zymkey_iot: Command
) -> None:
    with EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as other:
        other.configuration["fleet"] = "another"
        assert zymkey_iot("bootstrap", other.url).returncode == 0
        assert urls(moved) == (other.url, None)


def test_fleets_are_the_same_when_they_share_a_url() -> None:
    a, b, c = ({"url": f"https://{each}.example"} for each in "abc")
    assert is_same_fleet(a, b | {"fallback-url": "https://A.example/"})
    assert is_same_fleet(a | {"fallback-url": "https://c.example"}, b | {"fallback-url": "https://c.example:443"})
    assert not is_same_fleet(a, b | {"fallback-url": c["url"]})
    assert not is_same_fleet({}, {})


# The SD card


def test_a_card_with_the_old_url_leads_nowhere_else_and_is_no_reason_to_warn(
    moved: Pi, est: EstServer, new: EstServer, zymkey_iot: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.settings_files.CARD", settings_file)
    settings_file.write_text(f'url = "{est.url}"\nname = "pi-7"\n')

    done = zymkey_iot("renew", "--if-due", "--json")

    assert done.returncode == 0, done.stderr
    assert warnings(done.stdout) == []
    assert est.asked == []
    assert zymkey_iot("bootstrap").returncode == 0
    assert est.asked == []
    assert urls(moved) == (new.url, est.url)


def test_a_card_with_the_url_before_last_leads_nowhere_else_either(
    moved: Pi,
    est: EstServer,
    authority: Authority,
    pki: Path,
    zymkey_iot: Command,
    settings_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device.settings_files.CARD", settings_file)
    with beside(est, authority, pki / "localhost.pem") as third:
        est.configuration["enrollmentUrl"] = third.url
        other = urls(moved)[0]
        assert zymkey_iot(*RENEW).returncode == 0
        assert urls(moved) == (third.url, other)
        make_due(est)
        settings_file.write_text(f'url = "{est.url}"\nname = "pi-7"\n')
        est.asked.clear()
        for words in (RENEW, ["bootstrap"], ["bootstrap"], [*RENEW[:1], *RENEW[2:]]):
            done = zymkey_iot(*words, "--json")
            assert done.returncode in (0, NOT_DUE), done.stderr
            assert warnings(done.stdout) == []
        assert est.asked == []
        assert urls(moved) == (third.url, other)
        assert kept(moved)["former-urls"] == [est.url]

        settings_file.unlink()
        est.configuration["enrollmentUrl"] = est.url
        make_due(est)
        assert zymkey_iot("renew").returncode == 0, "the fleet comes back"
        assert (urls(moved), kept(moved)["former-urls"]) == ((est.url, third.url), [other])


def test_a_card_with_another_fleets_url_still_moves_a_device_at_a_bootstrap(
    moved: Pi,
    authority: Authority,
    pki: Path,
    endpoint: DataEndpoint,
    zymkey_iot: Command,
    settings_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device.settings_files.CARD", settings_file)
    with EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as other:
        other.configuration["fleet"] = "another"
        settings_file.write_text(f'url = "{other.url}"\n')
        said = zymkey_iot("renew", "--if-due")
        assert "this device works with" in said.stdout
        assert zymkey_iot("bootstrap").returncode == 0
        assert urls(moved) == (other.url, None)
        assert "former-urls" not in kept(moved)
