"""Where a setting is looked for: options, variables, files; the first of these layers that has it wins."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import setting_values
from .errors import UsageError
from .settings_files import Layer, SettingsFile, under

if TYPE_CHECKING:
    from .one_time_token import TokenPlace

VARIABLES = {
    "url": "ENROLLMENT_URL",
    "name": "ZYMKEY_IOT_NAME",
    "token": "ZYMKEY_IOT_TOKEN",
    "token_file": "ZYMKEY_IOT_TOKEN_FILE",
    "certificate": "ZYMKEY_IOT_CERTIFICATE",
    "key": "ZYMKEY_IOT_KEY",
    "state": "ZYMKEY_IOT_STATE",
    "ca_file": "CA_BUNDLE",
    "endpoint": "IOT_ENDPOINT",
    "https_port": "IOT_HTTPS_PORT",
    "mqtt_port": "IOT_MQTT_PORT",
    "credential_endpoint": "IOT_CREDENTIAL_ENDPOINT",
    "proxy": "HTTPS_PROXY",
    "no_proxy": "NO_PROXY",
    "give_up_after": "ZYMKEY_IOT_GIVE_UP_AFTER",
    "unattended": "ZYMKEY_IOT_UNATTENDED",
    "first_wait": "ZYMKEY_IOT_FIRST_WAIT",
    "tls": "ZYMKEY_IOT_TLS",
    "on_renew": "ZYMKEY_IOT_ON_RENEW",
    "keep_token": "ZYMKEY_IOT_KEEP_TOKEN",
}
OF_ONE_RUN = ("unattended",)
"""What no file sets: it says who has started this run."""

# What other programs call these two, the first that is set wins. HTTP_PROXY is for http:// alone.
_NAMES_OF_VARIABLES = {
    "proxy": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
}
# Settings that may hold a password, even where they are wrong.
_SECRET = ("proxy",)


def options(arguments: argparse.Namespace) -> Layer:
    """What the command line says."""
    found = {setting: getattr(arguments, setting, None) for setting in VARIABLES}
    return {
        setting: (value, "the argument URL" if setting == "url" else f"--{setting.replace('_', '-')}")
        for setting, value in found.items()
        if value is not None
    }


def environment(environ: Mapping[str, str]) -> Layer:
    """What the environment says; an empty variable says nothing."""
    return {
        setting: (environ[name], name)
        for setting, variable in VARIABLES.items()
        for name in reversed(_NAMES_OF_VARIABLES.get(setting, (variable,)))
        if environ.get(name)
    }


class Search:
    """Looks for settings in layers. A wrong value in a file is a problem, and the next layer counts."""

    def __init__(self, problems: list[UsageError]) -> None:
        self.problems = problems
        self.files: Sequence[Layer] = ()

    def pick(
        self, layers: Sequence[Layer], setting: str, default: tuple[Any, str] | None, parse: Callable[[Any], Any]
    ) -> tuple[Any, str]:
        """The first layer's value, parsed, and its source.

        Raises:
            UsageError: an option or a variable, or what is kept, has a value that is not allowed.
        """
        for layer in layers:
            if setting not in layer:
                continue
            value, source = layer[setting]
            try:
                return parse(value), source
            except (ValueError, TypeError) as wrong:
                problem = _not_allowed(setting, value, source, wrong)
            if not any(layer is each for each in self.files):
                raise problem
            self.pass_over(problem)
        if default is None:
            return None, "not set"
        try:
            return parse(default[0]), default[1]
        except ValueError as wrong:
            raise _not_allowed(setting, *default, wrong) from None

    def pass_over(self, problem: UsageError) -> None:
        """Keep a problem of a file, once: what is kept may be asked for it a second time."""
        if str(problem) not in map(str, self.problems):
            self.problems.append(problem)


def _not_allowed(setting: str, value: Any, source: str, wrong: Exception) -> UsageError:
    # A password in a URL is not allowed, and is a password all the same.
    shown = "" if setting in _SECRET else f" {re.sub(r'//[^/]*@', '//…@', str(value))[:200]!r}"
    cure = "--key zymkey: or another one that zymkey-iot key --help shows" if setting == "key" else ""
    return UsageError(f"{setting.replace('_', '-')}{shown} ({source}) is not allowed: {wrong}.", cure=cure)


def find_token(
    search: Search,
    given: Sequence[Layer],
    found: Sequence[SettingsFile],
    name: str,
    root: Path,
    *,
    asking: bool,
) -> "tuple[str | None, str, TokenPlace | None]":
    """The token or, from the same place, the file that holds it; its source; and from where it is to be removed.

    Args:
        asking: whether the token may be asked for (``--token-file -``).

    Raises:
        UsageError: an option or a variable has a token, or names a file, that cannot be used.
    """
    layers: list[tuple[Layer, SettingsFile | None]] = [(layer, None) for layer in given]
    layers += [(file.layer, file) for file in found]
    if not any("token" in layer or "token_file" in layer for layer, _ in layers):
        return None, "not set", None
    # Imported here: a device needs its token once.
    from . import one_time_token
    from .one_time_token import TokenPlace

    cure = f"ask the operator for a new token: zymkey-fleet invite {name}"
    for layer, file in layers:
        try:
            if "token" in layer:
                value, source = layer["token"]
                if file is not None and not str(value).strip():
                    continue  # it was removed after it was spent
                place = TokenPlace(file.path, True) if file is not None else None
                return one_time_token.one_word(str(value), source, cure=cure), source, place
            if "token_file" not in layer:
                continue
            path, source = layer["token_file"]
            if file is None and path == one_time_token.STANDARD_INPUT:
                if not asking:
                    continue
                asked = one_time_token.one_word(one_time_token.ask(name), "standard input", cure=cure)
                return asked, "standard input", None
            full = under(root, setting_values.path(path))
            text = one_time_token.read_file(full, source)
            if file is not None and not text:
                continue
            place = TokenPlace(full, False) if file is not None else None
            return one_time_token.one_word(text, str(path), cure=cure), str(full), place
        except (ValueError, TypeError) as wrong:
            problem = _not_allowed("token_file", path, source, wrong)
        except UsageError as wrong:
            problem = wrong
        if file is None:
            raise problem
        search.pass_over(problem)
    return None, "not set", None
