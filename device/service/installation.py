"""Install, remove and show the service's files. Everything here can be repeated."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..storage import storage_errors
from .systemctl import Systemd
from .unit_files import BOOTSTRAP, ENABLED, HOOKS, RENEW, SYSTEM_UNITS, TIMER, USER, USERS, files, groups_for

# Prints one line for the user.
Say = Callable[[str], None]

_FILES = (SYSTEM_UNITS / BOOTSTRAP, SYSTEM_UNITS / RENEW, SYSTEM_UNITS / TIMER, USERS)
# Folders that ProtectHome hides from the service.
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))


@dataclass(frozen=True, kw_only=True)
class UnitState:
    """One unit: whether its file is installed, whether it starts at boot, and what it does now."""

    name: str
    installed: bool
    enabled: bool | None
    state: str


def install(*, root: Path, command: Path, key: str, groups: Sequence[str] | None, say: Say) -> None:
    """Write the files, make the user, enable and start the units.

    Args:
        groups: the groups of the user; None chooses them by the kind of key, among the groups that the system has.

    Raises:
        UsageError: this user is not root, there is no systemd, or one of its commands failed.
        StorageError: a file cannot be written.
    """
    systemd = Systemd(root)
    systemd.check_installed()
    _check_rights(root)
    if groups is None:
        groups = groups_for(key, existing_groups(root))
    for path, text in files(command, groups).items():
        say(f"{'wrote' if _write(_under(root, path), text) else 'unchanged':<10} {path}")
    with storage_errors(_under(root, HOOKS)):
        _under(root, HOOKS).mkdir(parents=True, exist_ok=True)
    say(f"{'hooks':<10} {HOOKS} (the programs in it run as root after each renewal)")
    systemd.make_users(USERS.name)
    say(f"{'user':<10} {USER}, in {'the groups ' + ', '.join(groups) if groups else 'no other group than its own'}")
    _mention_secret_settings(root, say)
    systemd.reload()
    systemd.enable(*ENABLED)
    say(f"{'enabled':<10} {', '.join(ENABLED)}")
    if systemd.is_running:
        systemd.start(TIMER, BOOTSTRAP)
        say(f"{'started':<10} the same units; to watch: journalctl -fu {BOOTSTRAP}")
    else:
        say(f"{'later':<10} they start at the next boot of that system")


def uninstall(*, root: Path, say: Say) -> None:
    """Stop, disable, remove the files. The certificate, the user and the hooks stay."""
    systemd = Systemd(root)
    systemd.check_installed()
    _check_rights(root)
    present = [path for path in _FILES if _under(root, path).exists()]
    if not present:
        say("the service is not installed")
        return
    units = [unit for unit in ENABLED if SYSTEM_UNITS / unit in present]
    systemd.stop(*units)
    if units:
        systemd.disable(*units)
        say(f"{'disabled':<10} {', '.join(units)}")
    for path in present:
        with storage_errors(_under(root, path)):
            _under(root, path).unlink()
        say(f"{'removed':<10} {path}")
    systemd.reload()
    say(f"{'kept':<10} /var/lib/zymkey-iot, {HOOKS}, and the user {USER}")


def status(*, root: Path) -> list[UnitState]:
    """The state of each unit."""
    systemd = Systemd(root)
    systemd.check_installed()
    return [
        UnitState(
            name=name,
            installed=_under(root, SYSTEM_UNITS / name).exists(),
            enabled=systemd.is_enabled(name) if name in ENABLED else None,
            state=systemd.state(name),
        )
        for name in (BOOTSTRAP, RENEW, TIMER)
    ]


def installed_command() -> Path:
    """The absolute path of this zymkey-iot.

    Raises:
        UsageError: it is not installed, or the service could not run it.
    """
    beside = Path(sys.executable).with_name("zymkey-iot")
    found = beside if beside.exists() else shutil.which("zymkey-iot")
    if found is None:
        raise UsageError(
            "zymkey-iot is not installed as a command.", cure="install it with pip (README), or name it: --command PATH"
        )
    return visible_command(Path(found))


def visible_command(command: Path, root: Path = Path("/")) -> Path:
    """``command``, absolute.

    Raises:
        UsageError: there is no such program, here or under ``root``, or the service cannot see it.
    """
    command = command.absolute()
    if not any(path.is_file() and os.access(path, os.X_OK) for path in (command, root / command.relative_to("/"))):
        raise UsageError(f"{command} is not a program.", cure="give the path of zymkey-iot: --command PATH")
    if any(folder in command.resolve().parents for folder in _HIDDEN):
        raise UsageError(
            f"{command} is in a user's home folder, which the service cannot see.",
            cure="install it in another place: sudo python3 -m venv /opt/zymkey-iot (README)",
        )
    return command


def existing_groups(root: Path) -> list[str]:
    """The groups in the system's /etc/group."""
    try:
        lines = (root / "etc/group").read_text().splitlines()
    except OSError:
        return []
    return [line.partition(":")[0] for line in lines]


def _mention_secret_settings(root: Path, say: Say) -> None:
    """Often only root can read a settings file with a token, and the service is not root."""
    settings = root / "etc/zymkey-iot.toml"
    path = Path("/") / settings.relative_to(root)
    if settings.exists() and not settings.stat().st_mode & stat.S_IROTH:
        say(f"{'note':<10} let the service read its settings: chgrp {USER} {path} && chmod 640 {path}")


def _check_rights(root: Path) -> None:
    if root == Path("/") and os.geteuid() != 0:
        raise UsageError(
            "only root can install or remove a service.",
            cure="run it with sudo; or see the files first, in another folder: --root DIR",
        )
    if not root.is_dir():
        raise UsageError(f"--root {root} is not a folder.", cure="name the folder with the system's files")


def _write(path: Path, text: str) -> bool:
    """Write a file in one step, unless it has the same content; return whether it was written."""
    with storage_errors(path):
        if path.exists() and path.read_text() == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    return True


def _under(root: Path, path: PurePosixPath) -> Path:
    return root / path.relative_to("/")
