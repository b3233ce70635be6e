"""A cloud on loopback, and a device with a software key or a simulated Zymkey."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.zymkey.build import build
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.authority import Authority
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.diagnosis import Diagnose, diagnose_in_this_process
from tests.support.device.est_server import EstServer
from tests.support.device.factory import factory
from tests.support.device.hostile_server import HostileServer
from tests.support.device.pi import Pi
from tests.support.device.preload import kill_at_write, wrong_clock
from tests.support.device.softhsm import SoftHsm
from tests.support.device.victim import Victim

__all__ = ["factory", "kill_at_write", "wrong_clock"]


@pytest.fixture(autouse=True)
def _no_settings_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's settings are not the tests'."""
    for variable in list(os.environ):
        if variable.startswith(("ZYMKEY_", "IOT_")) or variable in (
            *("ENROLLMENT_URL", "CA_BUNDLE", "OPENSSL_ENGINES", "OPENSSL_CONF", "SOFTHSM2_CONF"),
        ):
            monkeypatch.delenv(variable)
        if variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def pki(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem` and `localhost.pem`."""
    folder = tmp_path_factory.mktemp("pki")
    authority.write_pem(folder / "ca.pem")
    authority.write_server(folder, "localhost", "127.0.0.1")
    return folder


@pytest.fixture
def endpoint(pki: Path) -> Iterator[DataEndpoint]:
    with DataEndpoint(pki / "localhost.pem", pki / "ca.pem") as server:
        yield server


@pytest.fixture
def est(authority: Authority, pki: Path, endpoint: DataEndpoint) -> Iterator[EstServer]:
    with EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as server:
        yield server


@pytest.fixture
def pi(tmp_path: Path, pki: Path, est: EstServer) -> Pi:
    """A device with a software key, named pi-7, that knows the cloud's address and its roots."""
    state = tmp_path / "state"
    return Pi(
        state,
        {
            "ENROLLMENT_URL": est.url,
            "CA_BUNDLE": str(pki / "ca.pem"),
            "ZYMKEY_IOT_NAME": "pi-7",
            "ZYMKEY_IOT_STATE": str(state),
            "ZYMKEY_IOT_KEY": "file:",
        },
    )


@pytest.fixture(scope="session")
def _working(authority: Authority, pki: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A device that works, with the servers that it belongs to."""
    with (
        DataEndpoint(pki / "localhost.pem", pki / "ca.pem") as endpoint,
        EstServer(authority, pki / "localhost.pem", data_port=endpoint.port) as est,
    ):
        settings = {"NAME": "pi-7", "KEY": "file:", "GIVE_UP_AFTER": "0s"}
        variables = {f"ZYMKEY_IOT_{name}": value for name, value in settings.items()}
        working = Victim(tmp_path_factory.mktemp("working"), {"CA_BUNDLE": str(pki / "ca.pem"), **variables})
        ending = working.run("bootstrap", est.url)
        assert ending.code == 0, ending.err
        yield working


@pytest.fixture
def victim(_working: Victim, tmp_path: Path) -> Victim:
    """A device that works, which a test sends to servers that mean harm."""
    return _working.copy(tmp_path)


@pytest.fixture(scope="session")
def hostile(pki: Path) -> Iterator[HostileServer]:
    """A server that does what a test says, and shows a good certificate for localhost."""
    with HostileServer(pki / "localhost.pem") as server:
        yield server


@pytest.fixture
def diagnose(pi: Pi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Diagnose:
    """A function from options and variables to what doctor finds on `pi`."""
    return diagnose_in_this_process(pi.environment, monkeypatch, capsys)


@pytest.fixture(scope="session")
def _simulated_zymkey_library() -> None:
    build()


@pytest.fixture(scope="session")
def _token(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    return SoftHsm(tmp_path_factory.mktemp("token") / "softhsm")


@pytest.fixture
def softhsm(tmp_path: Path, _token: SoftHsm) -> SoftHsm:
    """A PKCS#11 token with one P-256 key pair."""
    return SoftHsm(tmp_path / "softhsm", copy_of=_token)


KINDS_OF_KEY = ("zymkey", "pkcs11", "engine:zymkey_ssl", "engine:pkcs11", "file")


@pytest.fixture(params=KINDS_OF_KEY)
def any_pi(request: pytest.FixtureRequest, pi: Pi) -> Pi:
    """The same device with each kind of key in turn."""
    kind = request.param
    if "zymkey" in kind:
        pi.environment |= request.getfixturevalue("zymkey").environment()
        pi.environment["ZYMKEY_IOT_KEY"] = "zymkey:" if kind == "zymkey" else kind
    elif "pkcs11" in kind:
        softhsm: SoftHsm = request.getfixturevalue("softhsm")
        pi.environment |= softhsm.environment()
        pi.environment["ZYMKEY_IOT_KEY"] = softhsm.uri if kind == "pkcs11" else f"engine:{softhsm.uri}"
    return pi


@pytest.fixture
def zymkey(tmp_path: Path, _simulated_zymkey_library: None) -> SimulatedZymkey:
    return SimulatedZymkey(tmp_path / "zymkey")


@pytest.fixture
def zymkey_pi(pi: Pi, zymkey: SimulatedZymkey) -> Pi:
    """The same device with its key in a simulated Zymkey, through the vendor's own module."""
    pi.environment.update(zymkey.environment(), ZYMKEY_IOT_KEY="zymkey:")
    return pi
