"""The files in on-renew.d: which of them are hooks, and which of those cannot be started or must not be trusted.

A hook that runs as root must be root's alone: whoever can change its file, a folder on the way to it, or a link on that
way, could have root run anything. For another user's hooks the same holds for that user and root.
"""

import errno
import os
import pwd
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What editors and package managers leave beside a file; run-parts(8) does not run such files either.
_LEFTOVER = re.compile(
    r".*(~|\.(bak|old|orig|rej|save|tmp|sw[a-p]|dpkg-[a-z]+|ucf-[a-z]+|rpm(save|orig|new)|pac(save|new)))|#.*#",
    re.IGNORECASE,
)
# As many links as Linux follows (path_resolution(7)).
_MOST_LINKS = 40
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Unusable:
    """A file that is not run. ``expected`` says whether somebody counts on it: then a program was not told."""

    reason: str
    cure: str
    expected: bool = True


def entries(folder: Path) -> list[Path]:
    """What is in ``folder``, in the order of the names, without hidden files; empty when there is no such folder.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def fault(path: Path) -> Unusable | None:
    """Why ``path`` is not run; None for a hook that is."""
    if _LEFTOVER.fullmatch(path.name):
        return Unusable("its name is that of a leftover", f"rename or remove it: rm '{path}'", expected=False)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return Unusable("it is a folder", f"move it elsewhere: {path}", expected=False)
        if not stat.S_ISREG(mode):
            return Unusable("it is not a file", f"remove it: rm '{path}'")
        if not os.access(path, os.X_OK):
            return Unusable("it is not executable", f"sudo chmod 755 '{path}', if it is a hook", expected=False)
        return foreign(path) or _unstartable(path)
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return Unusable(f"it is a link to {path.readlink()}, where nothing is", f"remove it: rm '{path}'")
        return Unusable(f"it cannot be read ({os.strerror(error.errno or 0)})", f"look at it: sudo ls -l '{path}'")


def foreign(path: Path, *, among_others: bool = True) -> Unusable | None:
    """Who else than root and the user of this process could change what ``path`` is; None when nobody could.

    Args:
        among_others: take a folder with the sticky bit, such as /tmp, for safe: its files are their owners'.

    Raises:
        OSError: a part of the path cannot be looked at.
    """
    trusted, group = {0, os.geteuid()}, os.getegid() if os.geteuid() else None
    for step in _way_to(path):
        found = step.lstat()
        if found.st_uid not in trusted:
            return Unusable(f"{step} belongs to {_user(found.st_uid)}", f"sudo chown root:root '{step}'")
        if stat.S_ISLNK(found.st_mode):
            continue
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX and (among_others or step != path)
        by_group = found.st_mode & stat.S_IWGRP and found.st_gid != group
        if (by_group or found.st_mode & stat.S_IWOTH) and not sticky:
            return Unusable(f"other users can write {step}", f"sudo chmod go-w '{step}'")
    return None


def _way_to(path: Path) -> Iterator[Path]:
    """Every folder and every link on the way from the root to ``path``, and at the end the file itself."""
    links = 0
    here = Path("/")
    names = list(reversed(path.absolute().parts[1:]))
    yield here
    while names:
        name = names.pop()
        if name == "..":
            here = here.parent
            continue
        there = here / name
        yield there
        if not there.is_symlink():
            here = there
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = there.readlink()
        here = Path("/") if target.is_absolute() else here
        names += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _unstartable(path: Path) -> Unusable | None:
    """What the kernel would stumble over in the first line (execve(2))."""
    try:
        with path.open("rb") as file:
            line = file.readline(4096)
    except PermissionError:
        return None  # a program may be executable and not readable; a script says so itself
    if line.removeprefix(_BYTE_ORDER_MARK).startswith(b"#!"):
        if line.endswith(b"\r\n"):
            return Unusable("its lines end as on Windows (CRLF)", rf"sudo sed -i 's/\r$//' '{path}'")
        if line.startswith(_BYTE_ORDER_MARK):
            return Unusable("it begins with a byte order mark", rf"sudo sed -i '1s/^\xef\xbb\xbf//' '{path}'")
        interpreter = line[2:].split()[:1]
        if interpreter and not Path(os.fsdecode(interpreter[0])).exists():
            return Unusable(f"it needs {os.fsdecode(interpreter[0])}, which is not there", f"correct line 1 of {path}")
    return None


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
