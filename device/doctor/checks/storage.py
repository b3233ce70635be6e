"""The state folder: it can be written, has room, and is closed to other users."""

import os
import stat
from pathlib import Path

from ...candidate import Candidate
from ...cures import MAKE_ROOM
from ...errors import StorageError
from ...storage import storage_errors
from ..examination import Examination
from ..finding import Finding, ok, warning

LITTLE_ROOM = 1 << 20
"""In bytes. A bootstrap writes a few thousand."""

PRIVATE = ("key.pem", "lock", "candidate.json", "promotion.json")
"""The files with mode 0600. The others have 0644, but for device.json while it holds a proxy's password."""


def disk(examination: Examination) -> Finding:
    """Write, fsync, rename and remove a file, as every change does."""
    folder = examination.settings.state
    with storage_errors(folder):
        missing = not folder.exists()
    if missing:
        parent = next(parent for parent in folder.absolute().parents if parent.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return ok(f"{folder} does not exist yet; bootstrap makes it")
        raise StorageError(
            f"{folder} does not exist, and this user cannot make it in {parent}.",
            cure="run it with sudo, or use another folder: --state DIR",
        )
    examination.state.try_writing()
    with storage_errors(folder):
        status = os.statvfs(folder)
    room = status.f_bavail * status.f_frsize
    if room < LITTLE_ROOM:
        return warning(
            f"{folder} can be written, but the disk is nearly full: {room // 1024} KiB are free.",
            cure=MAKE_ROOM,
        )
    return ok(f"{folder}, {room // (1 << 20)} MiB free")


def file_modes(examination: Examination) -> Finding:
    """No other user can write the files or read secrets, and all files have one owner."""
    folder, state = examination.settings.state, examination.state
    dangerous: list[tuple[str, str]] = []
    untidy: list[tuple[str, str]] = []
    with storage_errors(folder):
        if folder.exists():
            owner = folder.stat()
            _judge(folder, 0o700, secret=False, dangerous=dangerous, untidy=untidy)
            for path in sorted(folder.iterdir()):
                if not path.is_file():
                    continue
                private = path.name in PRIVATE or (
                    path == state.device_path and Candidate(device=state.device()).has_secret
                )
                _judge(path, 0o600 if private else 0o644, secret=private, dangerous=dangerous, untidy=untidy)
                if path.stat().st_uid != owner.st_uid:
                    untidy.append(
                        (
                            f"{path} belongs to another user than the folder",
                            f"chown {owner.st_uid}:{owner.st_gid} {path}",
                        )
                    )
        for path in _secrets_elsewhere(examination):
            if path.is_file():
                _judge(path, 0o600, secret=True, dangerous=dangerous, untidy=untidy)
    wrong = dangerous + untidy
    text, cure = "; ".join(what for what, _ in wrong), "sudo " + " && sudo ".join(command for _, command in wrong)
    if dangerous:
        raise StorageError(f"{text}.", cure=cure)
    if untidy:
        return warning(f"{text}.", cure=cure)
    return ok("all correct")


def _judge(
    path: Path, right: int, *, secret: bool, dangerous: list[tuple[str, str]], untidy: list[tuple[str, str]]
) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    excess = mode & ~right & 0o077
    if not excess:
        return
    others_write = bool(excess & 0o022)
    access = "write" if others_write else "read"
    finding = (f"other users can {access} {path} (mode {mode:04o})", f"chmod {right:04o} {path}")
    (dangerous if others_write or secret else untidy).append(finding)


def _secrets_elsewhere(examination: Examination) -> list[Path]:
    """Files with a token, PIN or key. The SD card's FAT partition has no modes, so the files there are left out."""
    # Imported here: a package that keys need may be missing, which another check tells.
    from ...keys.named_file import named_file

    settings = examination.settings
    found = []
    if settings.token is not None and settings.sources["token"].startswith("/"):
        found.append(Path(settings.sources["token"]))
    if (named := named_file(settings.key)) is not None:
        found.append(named[1])
    return [path for path in found if not path.is_relative_to("/boot")]
