"""`engine:` through the openssl and curl commands, healthy and broken."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from device.errors import KeyUnavailable
from device.keys import engine
from device.keys.device_key import PAUSES
from device.keys.engine import EngineKey
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.pi import Pi
from tests.support.device.softhsm import SoftHsm


@pytest.fixture
def engine_pi(zymkey_pi: Pi) -> Pi:
    zymkey_pi.environment["ZYMKEY_IOT_KEY"] = "engine:zymkey_ssl"
    return zymkey_pi


def test_the_engine_and_the_vendors_module_show_the_same_key(zymkey_pi: Pi) -> None:
    for slot in (0, 2):
        by_engine = zymkey_pi.run("key", "--json", "--key", f"engine:zymkey_ssl:slot={slot}").stdout
        by_module = zymkey_pi.run("key", "--json", "--key", f"zymkey:slot={slot}").stdout
        assert by_engine.partition('"fingerprint"')[2][:60] == by_module.partition('"fingerprint"')[2][:60] != ""


def test_the_hsm_counts_two_signatures_too(engine_pi: Pi, zymkey: SimulatedZymkey) -> None:
    assert engine_pi.run("bootstrap").returncode == 0
    assert zymkey.signatures() == 2
    assert {signature.caller for signature in zymkey.record()} == {"openssl", "curl"}


def test_the_configured_slot_signs(engine_pi: Pi, zymkey: SimulatedZymkey) -> None:
    assert engine_pi.run("bootstrap", "--key", "engine:zymkey_ssl:slot=1").returncode == 0
    assert [signature.slot for signature in zymkey.record()] == [1, 1]


def test_a_missing_engine_is_named(engine_pi: Pi, tmp_path: Path) -> None:
    result = engine_pi.run("key", OPENSSL_ENGINES=str(tmp_path))

    assert result.returncode == 3
    assert "OpenSSL has no engine zymkey_ssl" in result.stderr


def test_curls_missing_engine_names_the_broken_debian_versions(zymkey_pi: Pi, tmp_path: Path) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    result = zymkey_pi.run("publish", "devices/pi-7/t", "x", "--tls", "curl", OPENSSL_ENGINES=str(tmp_path))

    assert result.returncode == 3
    assert "curl cannot use the OpenSSL engine zymkey_ssl" in result.stderr
    assert "8.14.1-2 to 8.14.1-2+deb13u4" in result.stderr


def test_a_failing_device_is_told_in_the_engines_own_words(engine_pi: Pi, zymkey: SimulatedZymkey) -> None:
    zymkey.absent()

    result = engine_pi.run("key")

    assert result.returncode == 3
    assert "no device" in result.stderr.lower()


@pytest.mark.parametrize("uri", ["engine:", "engine:a b", "engine:zymkey_ssl:slot=x"])
def test_an_engine_that_is_no_name_is_wrong_use(engine_pi: Pi, uri: str) -> None:
    assert engine_pi.run("key", "--key", uri).returncode == 2


def test_commands_that_are_not_installed_are_named(engine_pi: Pi, tmp_path: Path) -> None:
    result = engine_pi.run("key", PATH=str(tmp_path))

    assert result.returncode == 3
    assert "no openssl command" in result.stderr


@pytest.fixture
def pauses(zymkey: SimulatedZymkey, _simulated_zymkey_library: None, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, in this process; the bus answers again after two."""
    for variable, value in zymkey.environment().items():
        monkeypatch.setenv(variable, value)
    taken: list[float] = []

    def pause(seconds: float) -> None:
        taken.append(seconds)
        if len(taken) == 2:
            zymkey.restore()

    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=pause))
    return taken


def test_a_bus_that_is_busy_is_asked_again_twice(zymkey: SimulatedZymkey, pauses: list[float]) -> None:
    zymkey.fail(-110)
    key = EngineKey("engine:zymkey_ssl")
    assert pauses == list(PAUSES)

    pauses.clear()
    zymkey.fail(-5)
    key.sign_hashed(bytes(32))
    assert (pauses, zymkey.signatures()) == (list(PAUSES), 1)


def test_a_bus_that_stays_silent_and_an_engine_that_is_missing_end_soon(
    zymkey: SimulatedZymkey, pauses: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=pauses.append))
    zymkey.fail(-110)
    with pytest.raises(KeyUnavailable, match="cannot use the key behind the engine"):
        EngineKey("engine:zymkey_ssl")
    assert pauses == list(PAUSES)

    pauses.clear()
    monkeypatch.setenv("OPENSSL_ENGINES", str(tmp_path))
    with pytest.raises(KeyUnavailable, match="has no engine"):
        EngineKey("engine:zymkey_ssl")
    assert pauses == []


def test_a_token_behind_an_engine_is_asked_once(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its failure may be a wrong PIN."""
    for variable, value in {**softhsm.environment(), "ZYMKEY_IOT_PIN": "999999"}.items():
        monkeypatch.setenv(variable, value)
    taken: list[float] = []
    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=taken.append))
    key = EngineKey(f"engine:{softhsm.uri_without_pin}")
    with pytest.raises(KeyUnavailable):
        key.sign_hashed(bytes(32))
    assert taken == []


def test_an_openssl_that_does_not_end_is_not_started_again(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "openssl"
    slow.write_text("#!/bin/sh\nexec sleep 9\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(engine, "TIMEOUT", 0.05)
    with pytest.raises(KeyUnavailable, match="did not end within") as told:
        EngineKey("engine:zymkey_ssl")
    assert (told.value.kind, pauses) == ("key-unavailable", [])


@pytest.mark.parametrize(("busy", "code", "tries"), [(2, 0, 3), (9, 3, 3)], ids=["twice", "for ever"])
def test_curl_asks_a_bus_that_is_busy_again_twice(
    engine_pi: Pi, zymkey: SimulatedZymkey, tmp_path: Path, busy: int, code: int, tries: int
) -> None:
    assert engine_pi.run("bootstrap").returncode == 0
    zymkey.reset()
    began = tmp_path / "began"
    curl = tmp_path / "curl"
    fail = f"[ $(wc -l < {began}) -gt {busy} ] || export ZYMKEY_SIMULATOR_FAIL=-110"
    curl.write_text(f'#!/bin/sh\necho >> {began}\n{fail}\nexec /usr/bin/curl "$@"\n')
    curl.chmod(0o755)

    done = engine_pi.run("publish", "devices/pi-7/t", "x", PATH=f"{tmp_path}:/usr/bin:/bin")

    assert (done.returncode, began.read_text().count("\n")) == (code, tries), done.stderr
    assert zymkey.signatures() == (1 if code == 0 else 0)
