"""A Zymkey that is late, busy for a moment, or gone and back: one process goes on, through the vendor's own module."""

import errno
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from device.keys import zymkey_client
from device.keys.device_key import PAUSES
from device.keys.zymkey_client import ZymkeyClient
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.pi import Pi

# What each script begins with: a device that changes while the client pauses, instead of a pause.
PREAMBLE = """
import sys
from pathlib import Path
from argparse import Namespace
from device.errors import KeyUnavailable
from device.keys import open_key, zymkey_client
from device.settings import load
from sandbox.zymkey.device import SimulatedZymkey

hsm = SimulatedZymkey(Path(sys.argv[1]))
pauses = []

def pause(seconds):
    pauses.append(seconds)
    meanwhile()

def meanwhile():
    pass

zymkey_client.time = type("time", (), {"sleep": staticmethod(pause)})
key = lambda: open_key(load(Namespace()))
"""


def run(pi: Pi, zymkey: SimulatedZymkey, script: str) -> str:
    done = pi.forked("-c", PREAMBLE + script, str(zymkey.state))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_a_program_that_starts_before_the_daemon_gets_its_key_later_in_the_same_process(
    zymkey_pi: Pi, zymkey: SimulatedZymkey
) -> None:
    said = run(
        zymkey_pi,
        zymkey,
        """
hsm.absent()
for _ in range(2):
    try:
        key()
    except KeyUnavailable as error:
        print(error.cause)
hsm.restore()
import zymkey
assert zymkey.client is None, "the vendor's module has given up at its import"
found = key()
found.sign_hashed(bytes(32))
assert zymkey.client is not None
print(found.fingerprint)
""",
    )
    assert said.count("no Zymkey answers") == 2
    assert "SHA256:" in said


@pytest.mark.parametrize("code", [-errno.ETIMEDOUT, -errno.EIO])
def test_a_time_out_of_the_bus_is_tried_again_twice_for_every_operation(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, code: int
) -> None:
    run(
        zymkey_pi,
        zymkey,
        f"""
def meanwhile():
    if len(pauses) == 2:
        hsm.restore()

def after_two(operation):
    pauses.clear()
    hsm.fail({code})
    result = operation()
    assert pauses == list(zymkey_client.PAUSES), pauses
    return result

found = after_two(key)
after_two(lambda: found.sign_hashed(bytes(32)))
assert after_two(found.details)["model"].startswith("Zymkey")
assert hsm.signatures() == 1
""",
    )


def test_a_bus_that_stays_silent_ends_in_the_same_sentence_after_half_a_second(
    zymkey_pi: Pi, zymkey: SimulatedZymkey
) -> None:
    said = run(
        zymkey_pi,
        zymkey,
        """
found = key()
hsm.fail(-110)
try:
    found.sign_hashed(bytes(32))
except KeyUnavailable as error:
    print(error.cause)
print(sum(pauses) <= 0.5, len(pauses))
hsm.restore()
found.sign_hashed(bytes(32))
""",
    )
    assert "did not sign (slot 0): Connection timed out (ETIMEDOUT, return code -110)." in said
    assert "True 2" in said


def test_a_device_that_was_unplugged_is_used_again_by_the_same_key_object(
    zymkey_pi: Pi, zymkey: SimulatedZymkey
) -> None:
    said = run(
        zymkey_pi,
        zymkey,
        """
import zymkey
found = key()
first = zymkey.client
hsm.absent()
for _ in range(2):
    try:
        found.sign_hashed(bytes(32))
    except KeyUnavailable as error:
        print(error.cause)
hsm.restore()
found.sign_hashed(bytes(32))
assert zymkey.client is not first
print(hsm.signatures())
""",
    )
    assert said.count("ENODEV") == 2
    assert said.endswith("1\n")


def test_a_program_with_an_open_tls_context_shakes_hands_after_the_device_came_back(
    zymkey_pi: Pi, zymkey: SimulatedZymkey
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    run(
        zymkey_pi,
        zymkey,
        """
import socket
from device.identity import this_device

def shake_hands():
    with socket.create_connection((device.endpoint, device.https_port)) as plain:
        with device.context.wrap_socket(plain, server_hostname=device.endpoint) as tls:
            tls.send(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            tls.recv(1)

device = this_device()
shake_hands()
hsm.absent()
try:
    shake_hands()
except OSError:
    assert "ENODEV" in device.signer.failure.cause
else:
    raise SystemExit("a handshake without a key")
hsm.restore()
shake_hands()
assert device.signer.failure is None, "what is over is no longer told"
""",
    )


class Dying:
    """A module whose first client dies with `codes`, and whose next one works."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.opened = 0
        self.client: object = SimpleNamespace(number=0)

    def Zymkey(self) -> object:  # noqa: N802 - the vendor's name
        self.opened += 1
        return SimpleNamespace(number=self.opened)

    def ask(self, client: SimpleNamespace) -> int:
        if self.codes:
            raise AssertionError(f"bad return code {self.codes.pop(0)}")
        return int(client.number)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(zymkey_client, "time", SimpleNamespace(sleep=taken.append))
    return taken


@pytest.mark.parametrize(
    ("codes", "client", "waits"),
    [
        ([], 0, []),
        ([-errno.ETIMEDOUT], 0, PAUSES[:1]),
        ([-errno.EIO, -errno.EIO], 1, PAUSES),
        ([-errno.EPIPE], 1, []),
        ([-errno.ENODEV, -errno.ETIMEDOUT], 2, PAUSES[1:]),
        ([-errno.EINVAL], 1, []),
        ([-9999], 1, []),
    ],
)
def test_which_fault_asks_the_same_client_and_which_a_new_one(
    codes: list[int], client: int, waits: tuple[float, ...], pauses: list[float]
) -> None:
    module = Dying(*codes)
    assert ZymkeyClient(module).do(module.ask) == client
    assert pauses == list(waits)


@pytest.mark.parametrize(
    ("codes", "tries"),
    [
        ([-errno.EACCES] * 9, 1),
        ([-errno.EINVAL] * 9, 2),
        ([-errno.ETIMEDOUT] * 9, 3),
        ([-errno.EPIPE] * 9, 3),
    ],
)
def test_no_fault_is_tried_for_ever(codes: list[int], tries: int, pauses: list[float]) -> None:
    module = Dying(*codes)
    with pytest.raises(AssertionError, match=str(codes[0])):
        ZymkeyClient(module).do(module.ask)
    assert len(module.codes) == 9 - tries


@pytest.mark.parametrize("fails_at_import", [True, False])
def test_an_import_that_fails_as_calls_do_is_a_zymkey_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, fails_at_import: bool
) -> None:
    import builtins

    from device.errors import HsmNotAnswering

    def refuse() -> None:
        raise AssertionError("bad return code -19")

    real: Callable[..., object] = builtins.__import__

    def importing(name: str, *rest: object) -> object:
        if name != "zymkey":
            return real(name, *rest)
        if fails_at_import:
            refuse()
        return SimpleNamespace(client=None, Zymkey=refuse)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(HsmNotAnswering, match="ENODEV"):
        zymkey_client.open_client()
