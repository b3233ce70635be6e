"""What a cure tells people to install exists, and by that name."""

import ast
import re
from pathlib import Path

import pytest

from device import errors
from device.cures import for_state, pip_install
from device.errors import DeviceError
from tests.support.device.pi import Pi

REPOSITORY = Path(__file__).parents[3]
SOURCES = {path: path.read_text() for path in (REPOSITORY / "device").rglob("*.py")}

# In Debian bookworm and trixie, and in Ubuntu 22.04 and 24.04.
OF_APT = {"curl", "openssl", "libengine-pkcs11-openssl", "systemd"}


def locked_packages() -> set[str]:
    """Every package of PyPI that some part of this project has in its lock file: it exists by this name."""
    texts = [path.read_text() for path in (REPOSITORY / "requirements").glob("*.txt")]
    return {name.lower() for text in texts for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}


def named(pattern: str) -> set[str]:
    return {name for text in SOURCES.values() for name in re.findall(pattern, text)}


def test_what_is_installed_with_pip_is_on_the_index_or_in_this_folder() -> None:
    """zymkey-iot itself is on no index."""
    written = named(r"pip install (?:--\S+ )?'?([\w.\[\]-]+)") | named(r"pip_install\(['\"](?:--\S+ )?([^'\"]+)")
    packages = {name.rstrip(".") for name in written if not name.startswith(".")} - {"package"}

    assert {"python-pkcs11", "zku"} <= packages, "the search finds what is there"
    assert packages <= locked_packages()


def test_what_is_installed_with_apt_is_a_package_of_debian() -> None:
    packages = named(r"apt install ([\w.-]+)") | named(r"apt's ([\w.-]+)")

    assert packages, "the search finds what is there"
    assert packages <= OF_APT


def test_a_package_is_installed_for_the_python_that_misses_it() -> None:
    import sys

    assert pip_install("zku") == f"sudo {sys.executable} -m pip install zku"


@pytest.mark.parametrize("command", ["status", "publish a b", "renew", "config paho", "doctor --only certificate"])
def test_a_cure_is_for_the_state_folder_that_was_given(pi: Pi, command: str) -> None:
    """The command that it names would otherwise look into another one, and end with the same cure."""
    state = pi.state.parent / "my state"
    done = pi.run(*command.split(), "--state", str(state))
    cures = [line for line in (done.stdout + done.stderr).splitlines() if "zymkey-iot bootstrap" in line]
    assert cures, done
    assert all(f"zymkey-iot bootstrap --state '{state}'" in line for line in cures)
    assert pi.run("bootstrap", "--state", str(state)).returncode == 0
    assert pi.run("status", "--state", str(state)).returncode == 0


@pytest.mark.parametrize(
    ("text", "with_state"),
    [
        ("sudo zymkey-iot bootstrap --name ANOTHER", "sudo zymkey-iot bootstrap --state /s --name ANOTHER"),
        ("zymkey-iot key --help", "zymkey-iot key --help"),
        ("sudo zymkey-iot service install", "sudo zymkey-iot service install --state /s"),
        ("the service zymkey-iot-renew", "the service zymkey-iot-renew"),
        ("zymkey-fleet invite pi-7", "zymkey-fleet invite pi-7"),
    ],
)
def test_only_commands_that_work_on_a_state_folder_get_it(text: str, with_state: str) -> None:
    assert for_state(text, "/s") == with_state
    assert for_state(text, None) == text


def test_every_error_has_a_cure() -> None:
    kinds = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, DeviceError)}
    without = [
        f"{path.relative_to(REPOSITORY)}:{call.lineno}"
        for path, text in SOURCES.items()
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in kinds
        and not any(argument.arg == "cure" for argument in call.keywords)
    ]
    assert not without
