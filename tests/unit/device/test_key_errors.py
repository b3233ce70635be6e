"""What is wrong with a PIN, a token or a Zymkey's library, told by cause and cure."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import DeviceError, HsmNotAnswering, KeyUnavailable, LibraryUnusable, SlotUnusable, UsageError
from device.keys.pin import find_pin
from device.keys.pkcs11_errors import explained
from device.keys.zymkey import ZymkeyKey
from device.keys.zymkey_client import ZymkeyClient
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi
from tests.support.device.softhsm import SoftHsm

__all__ = ["zymkey_iot"]


@pytest.fixture
def token_pi(pi: Pi, softhsm: SoftHsm) -> Pi:
    pi.environment |= softhsm.environment() | {"ZYMKEY_IOT_KEY": softhsm.uri}
    return pi


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"\x80\x81", "it is not text"),
        (b"1234\n5678\n", "has 2 lines"),
    ],
)
def test_a_pin_file_that_holds_no_pin(tmp_path: Path, content: bytes | None, names: str) -> None:
    file = tmp_path / "pin"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(KeyUnavailable, match=names):
        find_pin(file, "fleet")


@pytest.mark.parametrize(
    ("content", "pin"),
    [
        (b"1234", "1234"),
        (b"1234\n", "1234"),
        (b"1234\r\n\r\n", "1234"),
        (b"1234\r", "1234"),
        (b"\xef\xbb\xbf1234\r\n", "1234"),
        ("1234\r\n".encode("utf-16"), "1234"),
        ("1234\n".encode("utf-16-le"), "1234"),
        ("1234\n".encode("utf-16-be"), "1234"),
        ("pass wörd \n".encode(), "pass wörd "),
    ],
)
def test_a_pin_file_may_be_written_by_any_editor(tmp_path: Path, content: bytes, pin: str) -> None:
    file = tmp_path / "pin"
    file.write_bytes(content)
    assert find_pin(file, "fleet") == pin


@pytest.mark.parametrize("prefix", ["", "engine:"])
def test_a_pin_that_every_user_can_read_is_a_warning(token_pi: Pi, softhsm: SoftHsm, prefix: str) -> None:
    token_pi.environment["ZYMKEY_IOT_KEY"] = prefix + softhsm.uri
    said = []
    for mode in (0o644, 0o640):
        softhsm.pin_file.chmod(mode)
        said.append(f"warning: every user can read the PIN in {softhsm.pin_file}" in token_pi.run("key").stderr)
    assert said == [True, False]


@pytest.mark.parametrize(
    ("raised", "told", "names"),
    [
        (pkcs11.PinLocked, KeyUnavailable, "locked"),
        (pkcs11.TokenNotPresent, HsmNotAnswering, "fleet"),
        (pkcs11.DeviceRemoved, HsmNotAnswering, "fleet"),
        (pkcs11.GeneralError, KeyUnavailable, "GeneralError"),
    ],
)
def test_what_a_token_may_answer(raised: type[Exception], told: type[DeviceError], names: str) -> None:
    with pytest.raises(told, match=names), explained("fleet"):
        raise raised


def test_a_key_may_be_named_by_its_id(token_pi: Pi, softhsm: SoftHsm) -> None:
    softhsm.add_key("device", "02")  # the same label
    assert "name one" in token_pi.run("key").stderr
    assert token_pi.run("key", "--key", softhsm.uri.replace("object=device", "type=private;id=%02")).returncode == 0


def test_several_tokens_that_fit_are_named(token_pi: Pi, softhsm: SoftHsm) -> None:
    environment = {**softhsm.environment(), "PATH": "/usr/bin:/bin"}
    command = ["softhsm2-util", "--init-token", "--free", "--label", "other", "--pin", "1234", "--so-pin", "4321"]
    subprocess.run(command, env=environment, capture_output=True, check=True)

    done = token_pi.run("key", "--key", softhsm.uri.replace("token=fleet;", ""))

    assert (done.returncode, "fleet, other" in done.stderr) == (3, True)


def test_without_the_extra_for_pkcs11_it_is_named(zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    done = zymkey_iot("key", "--key", "pkcs11:token=fleet?module-path=/lib/any.so")
    assert (done.returncode, "-m pip install python-pkcs11" in done.stderr) == (LibraryUnusable.exit_code, True), (
        done.stderr
    )


def test_without_a_module_in_its_usual_places_the_uri_has_to_name_it(
    zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.keys.pkcs11_uri.MODULES", ("/no/such/module.so",))
    done = zymkey_iot("key", "--key", "pkcs11:token=fleet")
    assert (done.returncode, "module-path" in done.stderr) == (UsageError.exit_code, True), done.stderr


def zymkey_with(client: object) -> ZymkeyKey:
    return ZymkeyKey(
        ZymkeyClient(SimpleNamespace(client=client)), 0, ec.generate_private_key(ec.SECP256R1()).public_key()
    )


def test_a_signature_of_another_length_is_another_kind_of_key() -> None:
    with pytest.raises(SlotUnusable, match="32 bytes"):
        zymkey_with(SimpleNamespace(sign_digest=lambda digest, slot: bytes(32))).sign_digest(bytes(32))


def test_a_library_that_is_older_than_the_module_lacks_functions() -> None:
    with pytest.raises(LibraryUnusable, match="older than the Python module"):
        zymkey_with(SimpleNamespace()).sign_digest(bytes(32))


FOREIGN_LIBRARY = """
import ctypes, sys
from device.cli import main


class ForeignLibrary:
    def __init__(self, *_, **__):
        raise OSError("libzk_app_utils.so: invalid ELF header")


ctypes.CDLL = ctypes.cdll.LoadLibrary = ForeignLibrary
sys.exit(main(["key"]))
"""


def test_a_library_that_was_made_for_another_processor(zymkey_pi: Pi) -> None:
    done = zymkey_pi.python("-c", FOREIGN_LIBRARY)
    assert done.returncode == LibraryUnusable.exit_code
    assert ("invalid ELF header" in done.stderr, "install_zk_sw.sh" in done.stderr) == (True, True), done.stderr
