"""The settings of one run, from five places. For each setting the first place that has it wins.

1. the options of the command line
2. environment variables
3. /etc/zymkey-iot.toml
4. /boot/firmware/zymkey-iot.toml, on the SD card's FAT partition, so that a card can be prepared on another computer
5. device.json in the state folder, which holds what the last bootstrap that worked has used

The TOML files have the option names as keys: ``url``, ``name``, ``token``, ``token-file``, ``certificate``, ``key``,
``state``, ``ca-file``, ``endpoint``, ``https-port``, ``mqtt-port``, ``proxy``, ``no-proxy``, ``give-up-after``,
``tls``, ``on-renew``, ``keep-token``; the card's may set some of them only (``settings_files.ON_CARD``).

Once a bootstrap has worked, the card may not lead the device elsewhere: its place is then below device.json, except for
a bootstrap, which is how a device is moved.

A typing error in a file must not end the life of a device that works: it is a warning that names file and line, and the
next place counts, in the end what the last bootstrap has kept. A bootstrap refuses the file, and so does everything
before a bootstrap has worked. Options and variables are never passed over.
"""

import argparse
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import addresses, kept_settings, settings_files
from .cures import BOOTSTRAP
from .errors import UsageError
from .home import absolute, absolute_key
from .kept_settings import IDENTITY
from .settings_files import FILES, Layer, SettingsFile, under
from .text import printable

if TYPE_CHECKING:
    from .one_time_token import TokenPlace

DEFAULT_STATE = Path("/var/lib/zymkey-iot")
DEFAULT_ON_RENEW = Path("/etc/zymkey-iot/on-renew.d")
DEFAULT_KEY = "zymkey:"
DEFAULT_GIVE_UP_AFTER = 300.0
HOST_NAME = "this host's name"
TLS_WAYS = ("auto", "signer", "curl")

NAME_RULE = "a device name has 1 to 64 letters, digits, - and _"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhd]?)")
_LONGEST_TIME = 366 * 86400
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one run, validated. ``sources`` says where each was found."""

    url: str | None
    name: str
    token: str | None = field(repr=False)
    certificate: Path | None
    key: str
    state: Path
    ca_file: Path | None
    endpoint: str | None
    https_port: int | None
    mqtt_port: int | None
    proxy: str | None = field(repr=False)  # may hold a password: print ``Proxy.parse(proxy)``
    no_proxy: str | None
    give_up_after: float
    tls: str
    on_renew: Path
    keep_token: bool = False
    token_place: "TokenPlace | None" = None  # the file to remove the token from once it is spent
    of_card: "Settings | None" = None
    """What the card would make of a device that works, if that is something else: it is right where the card was copied
    to another device."""

    sources: Mapping[str, str]


def tell_on_stderr(text: str) -> None:
    print(f"zymkey-iot: warning: {printable(text)}", file=sys.stderr)


def load(
    arguments: argparse.Namespace,
    *,
    environ: Mapping[str, str] | None = None,
    files: Sequence[Path] = FILES,
    continuing: bool = False,
    root: Path = Path("/"),
    warn: Callable[[str], None] = tell_on_stderr,
) -> Settings:
    """Read the settings from all places.

    Args:
        continuing: for a bootstrap. Take the settings of one that was begun and has not worked yet, if there is one, in
            place of the last one's that worked; and refuse files with errors.
        root: the folder with the files of the system to read the settings of; its paths are as that system has them.
        warn: is called for each error in a file that is passed over.

    Raises:
        UsageError: a setting is not allowed. The error names it, and where it was found.
    """
    environ = os.environ if environ is None else environ
    found = [settings_files.read(path, known=tuple(VARIABLES), root=root) for path in files]
    given = [_options(arguments), _environment(environ)]
    search = _Search(problems=[problem for each in found for problem in each.problems])
    layers: list[Layer] = [*given, *(each.layer for each in found)]
    search.files = [each.layer for each in found]
    state, _ = search.pick(layers, "state", (str(DEFAULT_STATE), "default"), _path)
    in_use = kept_settings.in_use(under(root, state))

    def settings(layers: Sequence[Layer], *, behind: Sequence[Layer] = ()) -> Settings:
        """From these layers, what is kept, and at last the layers ``behind`` it."""
        named, _ = search.pick(layers, "url", None, addresses.enrollment_url)
        kept = kept_settings.read(under(root, state), url=named, continuing=continuing)
        values = _values(search, [*layers, kept, *behind])
        token, source, place = _token(search, given, found, values["name"][0], root, asking=continuing)
        values["token"] = token, source
        return Settings(
            **{setting: value for setting, (value, _) in values.items()},
            token_place=place,
            sources={setting: source for setting, (_, source) in values.items()},
        )

    result = settings(layers)
    cards = [each for each in found if each.on_card]
    if in_use and not continuing and any(setting in each.layer for each in cards for setting in IDENTITY):
        others = [*given, *(each.layer for each in found if not each.on_card)]
        result = _held_against(settings(others, behind=[each.layer for each in cards]), result, warn)
    if search.problems and (continuing or not in_use):
        raise search.problems[0]
    for problem in search.problems:
        warn(
            f"{problem.cause.rstrip('.')}; this is passed over. Try: {problem.cure}" if problem.cure else problem.cause
        )
    return result


def _held_against(in_use: Settings, of_card: Settings, warn: Callable[[str], None]) -> Settings:
    """The settings in use, with what the card says otherwise, which is told."""
    differing = [setting for setting in IDENTITY if getattr(in_use, setting) != getattr(of_card, setting)]
    if not differing:
        return in_use
    told, kept = (", ".join(f"{each} = {getattr(one, each)}" for each in differing) for one in (of_card, in_use))
    warn(
        f"{of_card.sources[differing[0]]} has {told}; this device works with {kept}, and goes on with that. Try:"
        f" {BOOTSTRAP}, if it is to change; or correct the file"
    )
    return replace(in_use, of_card=of_card)


def _values(search: "_Search", layers: Sequence[Layer]) -> dict[str, tuple[Any, str]]:
    """Every setting but the token, and its source."""
    return {
        "state": search.pick(layers, "state", (str(DEFAULT_STATE), "default"), _path),
        "url": search.pick(layers, "url", None, addresses.enrollment_url),
        "name": search.pick(layers, "name", (socket.gethostname().partition(".")[0], HOST_NAME), _name),
        "certificate": search.pick(layers, "certificate", None, _path),
        "key": search.pick(layers, "key", (DEFAULT_KEY, "default"), _key),
        "ca_file": search.pick(layers, "ca_file", None, _or_none(_path)),
        "endpoint": search.pick(layers, "endpoint", None, _or_none(addresses.endpoint)),
        "https_port": search.pick(layers, "https_port", None, _or_none(addresses.port)),
        "mqtt_port": search.pick(layers, "mqtt_port", None, _or_none(addresses.port)),
        "proxy": search.pick(layers, "proxy", None, _proxy),
        "no_proxy": search.pick(layers, "no_proxy", None, _or_none(str)),
        "tls": search.pick(layers, "tls", (TLS_WAYS[0], "default"), _tls),
        "on_renew": search.pick(layers, "on_renew", (str(DEFAULT_ON_RENEW), "default"), _path),
        "give_up_after": search.pick(layers, "give_up_after", (DEFAULT_GIVE_UP_AFTER, "default"), _duration),
        "keep_token": search.pick(layers, "keep_token", (False, "default"), _yes_or_no),
    }


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
    "proxy": "HTTPS_PROXY",
    "no_proxy": "NO_PROXY",
    "give_up_after": "ZYMKEY_IOT_GIVE_UP_AFTER",
    "tls": "ZYMKEY_IOT_TLS",
    "on_renew": "ZYMKEY_IOT_ON_RENEW",
    "keep_token": "ZYMKEY_IOT_KEEP_TOKEN",
}
# What other programs call these two, the first that is set wins. HTTP_PROXY is for http:// alone.
_NAMES_OF_VARIABLES = {
    "proxy": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
}
# Settings that may hold a password, even where they are wrong.
_SECRET = ("proxy",)


def _options(arguments: argparse.Namespace) -> Layer:
    found = {setting: getattr(arguments, setting, None) for setting in VARIABLES}
    return {
        setting: (value, "the argument URL" if setting == "url" else f"--{setting.replace('_', '-')}")
        for setting, value in found.items()
        if value is not None
    }


def _environment(environ: Mapping[str, str]) -> Layer:
    return {
        setting: (environ[name], name)
        for setting, variable in VARIABLES.items()
        for name in reversed(_NAMES_OF_VARIABLES.get(setting, (variable,)))
        if environ.get(name)
    }


class _Search:
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
            if str(problem) not in map(str, self.problems):
                self.problems.append(problem)
        if default is None:
            return None, "not set"
        try:
            return parse(default[0]), default[1]
        except ValueError as wrong:
            raise _not_allowed(setting, *default, wrong) from None


def _not_allowed(setting: str, value: Any, source: str, wrong: Exception) -> UsageError:
    shown = "" if setting in _SECRET else f" {str(value)[:200]!r}"
    cure = "--key zymkey: or another one that zymkey-iot key --help shows" if setting == "key" else ""
    return UsageError(f"{setting.replace('_', '-')}{shown} ({source}) is not allowed: {wrong}.", cure=cure)


def _token(
    search: _Search,
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
            full = under(root, _path(path))
            text = one_time_token.read_file(full, source)
            if file is not None and not text:
                continue
            place = TokenPlace(full, False) if file is not None else None
            return one_time_token.one_word(text, str(path), cure=cure), str(full), place
        except (ValueError, TypeError) as wrong:
            raise _not_allowed("token_file", path, source, wrong) from None
        except UsageError as problem:
            if file is None:
                raise
            search.problems.append(problem)
    return None, "not set", None


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(NAME_RULE)
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it is the path of a file or a folder")
    _check_characters(value)
    return absolute(value)


def _key(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a key looks like zymkey:slot=1")
    _check_characters(value)
    return absolute_key(value.strip())


def _check_characters(text: str) -> None:
    if any(ord(each) < 0x20 or ord(each) == 0x7F for each in text):
        raise ValueError("it has a control character")


def _yes_or_no(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "yes", "1", "false", "no", "0"):
        raise ValueError("it is true or false")
    return text in ("true", "yes", "1")


def _proxy(value: Any) -> str | None:
    """An empty one means none, although a place further down has one."""
    if not str(value).strip():
        return None
    # Imported here: few devices have a proxy.
    from .proxy import Proxy

    return Proxy.parse(str(value)).url


def _or_none(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An empty value means none, although a place further down has one; a bootstrap with it forgets that one."""
    return lambda value: parse(value) if str(value).strip() else None


def _tls(value: Any) -> str:
    if value not in TLS_WAYS:
        raise ValueError("it must be one of " + ", ".join(TLS_WAYS))
    return str(value)


def _duration(value: Any) -> float:
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError("a time looks like 90, 90s, 10m, 2h or 1d")
    seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    if seconds > _LONGEST_TIME:
        raise ValueError("a time is at most 366d")
    return seconds
