"""What the service's user may read: by the modes of the files, of this system or of one whose files these are."""

import stat
from dataclasses import dataclass
from pathlib import Path

from ..settings_files import under
from .unit_files import USER


@dataclass(frozen=True)
class Account:
    """The user's number, and the numbers of its groups."""

    uid: int
    gids: frozenset[int]


def account(root: Path) -> Account | None:
    """The service's user in the system's /etc/passwd and /etc/group; None when it is not there."""
    users = [line for line in _fields(root / "etc/passwd", 4) if line[0] == USER]
    if not users:
        return None
    groups = [int(line[2]) for line in _fields(root / "etc/group", 4) if USER in line[3].split(",")]
    return Account(int(users[0][2]), frozenset([int(users[0][3]), *groups]))


def group_names(root: Path) -> list[str]:
    """The groups in the system's /etc/group."""
    return [line[0] for line in _fields(root / "etc/group", 1)]


def closed_to(user: Account, path: Path, root: Path) -> Path | None:
    """What keeps ``user`` from reading ``path``: a folder on the way to it or the path itself; None when nothing does.

    A path that does not exist is not closed. Links are followed within ``root`` alone when they are relative.
    """
    parts = [*reversed(path.parents[:-1]), path]
    for part in parts:
        try:
            status = under(root, part).stat()
        except OSError:
            return None
        folder = stat.S_ISDIR(status.st_mode)
        wanted = (stat.S_IXOTH if folder else 0) | (stat.S_IROTH if part == path else 0)
        if not _may(user, status.st_uid, status.st_gid, status.st_mode, wanted):
            return part
    return None


def _may(user: Account, uid: int, gid: int, mode: int, wanted: int) -> bool:
    """As the kernel decides (path_resolution(7)): the owner's bits, else the group's, else all others'."""
    shift = 6 if uid == user.uid else 3 if gid in user.gids else 0
    return mode >> shift & wanted == wanted


def _fields(path: Path, least: int) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = [line.split(":") for line in lines]
    return [fields for fields in found if len(fields) >= least]
