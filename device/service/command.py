"""The program that the units start, and the folders that they cannot see."""

import os
import shutil
import sys
from pathlib import Path

from ..errors import UsageError

# Folders that ProtectHome hides from the service.
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))


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
    if not any(os.access(path, os.X_OK) and path.is_file() for path in (command, root / command.relative_to("/"))):
        raise UsageError(f"{command} is not a program.", cure="give the path of zymkey-iot: --command PATH")
    if is_hidden(command):
        raise UsageError(
            f"{command} is in a user's home folder, which the service cannot see.",
            cure="install it in another place: sudo python3 -m venv /opt/zymkey-iot (README)",
        )
    return command


def is_hidden(path: Path) -> bool:
    """Whether the service cannot see the path, because it or what it links to is in a home."""
    return any(folder in (each, *each.parents) for each in (path, path.resolve()) for folder in _HIDDEN)
