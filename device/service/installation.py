"""Install, remove and show the service's files. Everything here can be repeated."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..settings import DEFAULT_STATE, Settings
from ..storage import storage_errors
from .access import account
from .description import notes
from .proof import prove_key
from .systemctl import Systemd
from .unit_files import BOOTSTRAP, ENABLED, FOLDERS, RENEW, SYSTEM_UNITS, TIMER, USER, USERS, Service, files

# Prints one line for the user.
Say = Callable[[str], None]

_FILES = (SYSTEM_UNITS / BOOTSTRAP, SYSTEM_UNITS / RENEW, SYSTEM_UNITS / TIMER, USERS, FOLDERS)
_STATE_IN_UNIT = re.compile(r'^Environment="ZYMKEY_IOT_STATE=(.*)"$', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class UnitState:
    """One unit: whether its file is installed, whether it starts at boot, and what it does now."""

    name: str
    installed: bool
    enabled: bool | None
    state: str


def install(service: Service, settings: Settings, *, root: Path, say: Say) -> None:
    """Write the files, make the user, enable and start the units, and prove once that they reach the key.

    Args:
        settings: those from which ``service`` was made.

    Raises:
        UsageError: this user is not root, there is no systemd, or one of its commands failed.
        StorageError: a file cannot be written.
        KeyUnavailable: all is installed, but the service does not reach the key.
    """
    systemd = Systemd(root)
    systemd.check_installed()
    check_rights(root)
    with _usual_modes():
        wanted = files(service)
        for path, text in wanted.items():
            say(f"{'wrote' if _write(_under(root, path), text) else 'unchanged':<10} {path}")
        if FOLDERS not in wanted:
            # Of an earlier install, with its state folder elsewhere.
            _under(root, FOLDERS).unlink(missing_ok=True)
        hooks = _under(root, PurePosixPath(service.on_renew))
        with storage_errors(hooks):
            hooks.mkdir(parents=True, exist_ok=True)
        say(f"{'hooks':<10} {service.on_renew} (the programs in it run as root after each renewal)")
        systemd.make_users(USERS.name)
        groups = ", ".join(service.groups)
        say(f"{'user':<10} {USER}, in {f'the groups {groups}' if groups else 'no other group than its own'}")
        if FOLDERS in wanted:
            systemd.make_folders(FOLDERS.name)
        say(f"{'state':<10} {service.state}")
        for note in notes(settings, account(root), root):
            say(f"{'note':<10} {note}")
        systemd.reload()
        systemd.enable(*ENABLED)
    say(f"{'enabled':<10} {', '.join(ENABLED)}")
    if systemd.is_running:
        systemd.start(TIMER, BOOTSTRAP)
        say(f"{'started':<10} the same units; to watch: journalctl -fu {BOOTSTRAP}")
    else:
        say(f"{'later':<10} they start at the next boot of that system")
    say(f"{'key':<10} {_proof(systemd, service, settings)}")


def _proof(systemd: Systemd, service: Service, settings: Settings) -> str:
    if not systemd.is_running:
        return f"{settings.key}; not proved that the service reaches it, since that system does not run now"
    kind, _, rest = settings.key.partition(":")
    if kind == "file" and not Path(rest or service.state / "key.pem").exists():
        return "a software key, which the bootstrap makes"
    return f"the service reaches it: {prove_key(systemd, service)}"


def uninstall(*, root: Path, say: Say) -> None:
    """Stop, disable, remove the files. The certificate, the user and the hooks stay.

    Raises:
        UsageError: this user is not root, there is no systemd, or one of its commands failed.
        StorageError: a file cannot be removed.
    """
    systemd = Systemd(root)
    systemd.check_installed()
    check_rights(root)
    present = [path for path in _FILES if _under(root, path).exists()]
    if not present:
        say("the service is not installed")
        return
    state = _installed_state(root)
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
    say(f"{'kept':<10} {state}, the hooks, and the user {USER}")


def status(*, root: Path) -> list[UnitState]:
    """The state of each unit.

    Raises:
        UsageError: there is no systemd, or it does not answer.
        StorageError: this user may not look at the files below ``root``.
    """
    systemd = Systemd(root)
    systemd.check_installed()
    with storage_errors(root):
        return [
            UnitState(
                name=name,
                installed=_under(root, SYSTEM_UNITS / name).exists(),
                enabled=systemd.is_enabled(name) if name in ENABLED else None,
                state=systemd.state(name),
            )
            for name in (BOOTSTRAP, RENEW, TIMER)
        ]


def _installed_state(root: Path) -> str:
    """The state folder that the installed units name; a release before this one had one place alone."""
    try:
        unit = _under(root, SYSTEM_UNITS / RENEW).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return str(DEFAULT_STATE)
    found = _STATE_IN_UNIT.search(unit)
    return re.sub(r"\\(.)", r"\1", found.group(1)).replace("%%", "%") if found else str(DEFAULT_STATE)


def check_rights(root: Path) -> None:
    """Check that this user may change the system below ``root``.

    Raises:
        UsageError: only root may, or there is no such folder.
    """
    if root == Path("/") and os.geteuid() != 0:
        raise UsageError(
            "only root can install or remove a service.",
            cure="run it with sudo; or see the files first, in another folder: --root DIR",
        )
    if not os.access(root, os.F_OK) or not root.is_dir():
        raise UsageError(f"--root {root} is not a folder.", cure="name the folder with the system's files")


@contextmanager
def _usual_modes() -> Iterator[None]:
    """Give files and folders, and those that systemd's commands make, the modes of a system's, whatever the umask."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _write(path: Path, text: str) -> bool:
    """Write a file in one step, unless it has the same content; return whether it was written."""
    data = text.encode()
    with storage_errors(path):
        if path.exists() and path.read_bytes() == data:
            path.chmod(0o644)
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    return True


def _under(root: Path, path: PurePosixPath) -> Path:
    return root / path.relative_to("/")
