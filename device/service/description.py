"""What the units are made of: from the options, and from the settings of the system on which the service will run."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..keys.named_file import named_file
from ..settings import Settings, load
from ..settings_files import FILES, under
from ..settings_search import VARIABLES
from .access import Account, closed_to, group_names
from .command import is_hidden
from .unit_files import KEY_VARIABLE, ON_RENEW_VARIABLE, STATE_VARIABLE, USER, Service, groups_for

_SETTINGS_FILE = FILES[0]

# What a unit can be given. Every other variable of this shell is not the service's.
_GIVEN = (STATE_VARIABLE, KEY_VARIABLE, ON_RENEW_VARIABLE)


def read_settings(arguments: argparse.Namespace, root: Path) -> Settings:
    """The settings as the service will find them: those of the system below ``root``, of this shell only ``_GIVEN``.

    Raises:
        UsageError: a setting is wrong, or there is no enrollment URL.
    """
    environ = {name: value for name, value in os.environ.items() if name in _GIVEN}
    settings = load(arguments, environ=environ, root=root)
    if settings.url is None:
        here = "ENROLLMENT_URL of this shell is not the service's: " if os.environ.get("ENROLLMENT_URL") else ""
        raise UsageError(
            "the service would have no enrollment URL, and could not renew anything.",
            cure=f'{here}write url = "https://…" into {_SETTINGS_FILE} or the SD card\'s zymkey-iot.toml, or bootstrap'
            " first: zymkey-iot bootstrap https://…",
        )
    return settings


def describe(settings: Settings, *, command: Path, groups: Sequence[str] | None, root: Path) -> Service:
    """The service for these settings.

    Args:
        groups: the groups of the user; None chooses them by the kind of key, among the groups that the system has.

    Raises:
        UsageError: the service could not see the state folder, or a file of the key.
    """
    for what, path in filter(None, [("the state folder", settings.state.absolute()), named_file(settings.key)]):
        if is_hidden(path):
            raise UsageError(
                f"{what} {path} is in a user's home folder, which the service cannot see.",
                cure="use another place: /var/lib/zymkey-iot for the state folder, /etc/zymkey-iot for a PIN",
            )
    state = settings.state.absolute()
    return Service(
        command=command,
        groups=groups_for(settings.key, group_names(root)) if groups is None else groups,
        state=state,
        key=None if _finds_itself(settings.sources["key"], under(root, state)) else settings.key,
        on_renew=settings.on_renew.absolute(),
    )


def _finds_itself(source: str, state: Path) -> bool:
    """Whether the service finds a setting by itself: it is a default, or kept in the state folder."""
    return source == "default" or Path(source).parent == state


def notes(settings: Settings, user: Account | None, root: Path) -> list[str]:
    """What a person should know: variables that the service does not have, and files that it cannot read."""
    found = [
        f"{variable} of this shell is not the service's: write it into {_SETTINGS_FILE}"
        for setting, variable in VARIABLES.items()
        if setting not in ("state", "key", "on_renew", "url") and os.environ.get(variable)
    ]
    if user is None:
        return found
    named = named_file(settings.key)
    wanted = [*FILES, settings.on_renew, *(named[1:] if named else ())]
    closed = {closed_to(user, path, root) for path in wanted} - {None}
    return found + [f"let the service read {path}: {_opening(path, root)}" for path in sorted(filter(None, closed))]


def _opening(path: Path, root: Path) -> str:
    if under(root, path).is_dir():
        return f"sudo chmod a+rx '{path}'"
    return f"sudo chgrp {USER} '{path}' && sudo chmod 640 '{path}'"
