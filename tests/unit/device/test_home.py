"""`~` and relative paths mean what they mean in the shell of the person who typed them, also under sudo and later."""

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from device.errors import UsageError
from device.home import absolute, absolute_key
from device.settings import load
from tests.support.device.pi import Pi


@pytest.fixture(autouse=True)
def people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """root, who types sudo as pi."""
    homes = {"pi": "/home/pi", "root": "/root"}
    monkeypatch.setattr(pwd, "getpwnam", lambda name: SimpleNamespace(pw_dir=homes[name]))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("SUDO_USER", "pi")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/key.pem", "/home/pi/key.pem"),
        ("~", "/home/pi"),
        ("~root/pin", "/root/pin"),
        ("/data/~/x", "/data/~/x"),
    ],
)
def test_a_tilde_under_sudo_is_the_home_of_who_typed_it(written: str, meant: str) -> None:
    assert absolute(written) == Path(meant)


def test_without_sudo_it_is_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER")
    assert absolute("~/x") == Path("/root/x")
    monkeypatch.setenv("SUDO_USER", "pi")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/anna")
    assert absolute("~/x") == Path("/home/anna/x"), "a variable that an earlier sudo has left behind"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_dir="/home/by-number"))
    assert absolute("~/x") == Path("/home/by-number/x")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("file:", "file:"),
        ("file:/k.pem", "file:/k.pem"),
        ("file:~/k.pem", "file:/home/pi/k.pem"),
        ("zymkey:slot=1", "zymkey:slot=1"),
        ("engine:other:~/x", "engine:other:~/x"),
        (
            "pkcs11:object=~;token=a?pin-source=file:~/my%20pin&module-path=libzk.so",
            "pkcs11:object=~;token=a?pin-source=file:/home/pi/my%20pin&module-path=libzk.so",
        ),
        ("engine:pkcs11:token=a?pin-source=%7E/p", "engine:pkcs11:token=a?pin-source=file:/home/pi/p"),
        (
            "pkcs11:token=a?pin-source=file:/p&module-path=~/m.so",
            "pkcs11:token=a?pin-source=file:/p&module-path=/home/pi/m.so",
        ),
    ],
)
def test_the_paths_in_a_keys_uri(written: str, kept: str) -> None:
    assert absolute_key(written) == kept


def test_a_relative_path_is_kept_from_the_root(tmp_path: Path) -> None:
    assert absolute_key("file:k.pem") == f"file:{tmp_path}/k.pem"
    assert absolute_key("pkcs11:token=a?pin-source=pin") == f"pkcs11:token=a?pin-source=file:{tmp_path}/pin"


def test_a_home_that_nobody_has_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="no user nobody-here") as refused:
        load(SimpleNamespace(key="file:~nobody-here/key.pem"), environ={}, files=())  # type: ignore[arg-type]
    assert "--key" in refused.value.cause


IN_A_FOLDER = "import os, sys; from device.cli import main; os.chdir(sys.argv[1]); sys.exit(main(sys.argv[2:]))"


def test_a_key_that_was_named_in_one_folder_is_found_from_another(pi: Pi, tmp_path: Path) -> None:
    """device.json keeps it for the timer, which runs elsewhere."""
    (tmp_path / "here").mkdir()
    del pi.environment["ZYMKEY_IOT_KEY"]

    done = pi.forked("-c", IN_A_FOLDER, str(tmp_path / "here"), "bootstrap", "--key", "file:key.pem")
    shown = pi.forked("-c", IN_A_FOLDER, "/", "status")

    assert (done.returncode, shown.returncode) == (0, 0), done.stderr + shown.stdout
    assert (tmp_path / "here" / "key.pem").exists()
