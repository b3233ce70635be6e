"""The settings of one run, from five places. For each setting the first place that has it wins.

1. the options of the command line
2. environment variables
3. /etc/zymkey-iot.toml
4. /boot/firmware/zymkey-iot.toml, on the SD card's FAT partition, so that a card can be prepared on another computer
5. device.json in the state folder, which holds what the last bootstrap that worked has used

The TOML files have the option names as keys: ``url``, ``name``, ``token``, ``token-file``, ``certificate``, ``key``,
``state``, ``ca-file``, ``endpoint``, ``https-port``, ``mqtt-port``, ``proxy``, ``no-proxy``, ``give-up-after``,
``tls``, ``on-renew``.
"""

import argparse
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import kept_settings
from .errors import UsageError
from .home import absolute_key

FILES = (Path("/etc/zymkey-iot.toml"), Path("/boot/firmware/zymkey-iot.toml"))
DEFAULT_STATE = Path("/var/lib/zymkey-iot")
DEFAULT_ON_RENEW = Path("/etc/zymkey-iot/on-renew.d")
DEFAULT_KEY = "zymkey:"
DEFAULT_GIVE_UP_AFTER = 300.0
HOST_NAME = "this host's name"
TLS_WAYS = ("auto", "signer", "curl")

NAME_RULE = "a device name has 1 to 64 letters, digits, - and _"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
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
    sources: Mapping[str, str]


def load(
    arguments: argparse.Namespace,
    *,
    environ: Mapping[str, str] | None = None,
    files: Sequence[Path] = FILES,
    continuing: bool = False,
    root: Path = Path("/"),
) -> Settings:
    """Read the settings from all places.

    Args:
        continuing: take those of a bootstrap that was begun and has not worked yet, if there is one, in place of the
            last one's that worked.
        root: the folder with the files of the system to read the settings of; its paths are as that system has them.

    Raises:
        UsageError: a setting is not allowed. The error names it, and where it was found.
    """
    environ = os.environ if environ is None else environ
    layers = [_options(arguments), _environment(environ), *(_file(under(root, path)) for path in files)]
    state = _pick(layers, "state", (str(DEFAULT_STATE), "default"), Path)
    named, _ = _pick(layers, "url", None, _url)
    layers.append(kept_settings.read(under(root, state[0]), url=named, continuing=continuing))

    values = {
        "state": state,
        "url": _pick(layers, "url", None, _url),
        "name": _pick(layers, "name", (socket.gethostname().partition(".")[0], HOST_NAME), _name),
        "certificate": _pick(layers, "certificate", None, Path),
        "key": _pick(layers, "key", (DEFAULT_KEY, "default"), lambda key: absolute_key(str(key))),
        "ca_file": _pick(layers, "ca_file", None, _or_none(Path)),
        "endpoint": _pick(layers, "endpoint", None, _or_none(str)),
        "https_port": _pick(layers, "https_port", None, _or_none(_port)),
        "mqtt_port": _pick(layers, "mqtt_port", None, _or_none(_port)),
        "proxy": _pick(layers, "proxy", None, _proxy),
        "no_proxy": _pick(layers, "no_proxy", None, _or_none(str)),
        "tls": _pick(layers, "tls", (TLS_WAYS[0], "default"), _tls),
        "on_renew": _pick(layers, "on_renew", (str(DEFAULT_ON_RENEW), "default"), Path),
        "give_up_after": _pick(layers, "give_up_after", (DEFAULT_GIVE_UP_AFTER, "default"), _duration),
        "token": _token(layers, root),
    }
    return Settings(
        **{setting: value for setting, (value, _) in values.items()},
        sources={setting: source for setting, (_, source) in values.items()},
    )


def under(root: Path, path: Path) -> Path:
    """Where the files below ``root`` have what their own system calls ``path``."""
    return path if root == Path("/") else root / str(path).lstrip("/")


# A layer is one of the five places: each setting with its raw value, and where exactly it was found.
_Layer = Mapping[str, tuple[Any, str]]

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
}
# What other programs call these two, the first that is set wins. HTTP_PROXY is for http:// alone.
_NAMES_OF_VARIABLES = {
    "proxy": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    "no_proxy": ("no_proxy", "NO_PROXY"),
}
# Settings that may hold a password, even where they are wrong.
_SECRET = ("proxy",)


def _options(arguments: argparse.Namespace) -> _Layer:
    found = {setting: getattr(arguments, setting, None) for setting in VARIABLES}
    return {
        setting: (value, "the argument URL" if setting == "url" else f"--{setting.replace('_', '-')}")
        for setting, value in found.items()
        if value is not None
    }


def _environment(environ: Mapping[str, str]) -> _Layer:
    return {
        setting: (environ[name], name)
        for setting, variable in VARIABLES.items()
        for name in reversed(_NAMES_OF_VARIABLES.get(setting, (variable,)))
        if environ.get(name)
    }


def _file(path: Path) -> _Layer:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}.",
            cure=f"run it with sudo, or let this user read the file: sudo chmod 644 {path}",
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8.", cure="save the file as plain text in UTF-8") from None
    # Imported here: most runs have no such file, and the import costs as much as two certificates do to read.
    import tomllib

    try:
        document = tomllib.loads(text.lstrip("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", cure='write lines such as: name = "pi-7"') from None
    layer = {}
    for key, value in document.items():
        setting = key.replace("-", "_")
        if setting not in VARIABLES:
            known = ", ".join(name.replace("_", "-") for name in VARIABLES)
            raise UsageError(f"{path} has {key!r}, which is no setting.", cure=f"use one of {known}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(f"{key} in {path} is neither text nor a number.", cure=f'write {key} = "…"')
        layer[setting] = (value, str(path))
    return layer


def _pick(
    layers: Sequence[_Layer], setting: str, default: tuple[Any, str] | None, parse: Callable[[Any], Any]
) -> tuple[Any, str]:
    """The first layer's value, parsed, and its source."""
    found = next((layer[setting] for layer in layers if setting in layer), default)
    if found is None:
        return None, "not set"
    value, source = found
    try:
        return parse(value), source
    except (ValueError, TypeError) as wrong:
        label = setting.replace("_", "-") + ("" if setting in _SECRET else f" {value!r}")
        raise UsageError(f"{label} ({source}) is not allowed: {wrong}.") from None


def _token(layers: Sequence[_Layer], root: Path) -> tuple[str | None, str]:
    """The token or, from the same layer, the file that holds it."""
    for layer in layers:
        if "token" in layer:
            value, source = layer["token"]
            return _printable_token(str(value), source), source
        if "token_file" in layer:
            path, source = layer["token_file"]
            try:
                return _printable_token(under(root, Path(path)).read_text(encoding="ascii"), str(path)), str(path)
            except OSError as error:
                reason = os.strerror(error.errno or 0)
                raise UsageError(
                    f"the token file {path} ({source}) cannot be read: {reason}.", cure=f"check the file: ls -l {path}"
                ) from None
            except UnicodeDecodeError:
                raise UsageError(f"the token file {path} ({source}) is not plain text.") from None
    return None, "not set"


def _printable_token(text: str, source: str) -> str:
    """One word of printable ASCII. The error does not show the text: it may be a secret with a typing error."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"the token ({source}) is not one word.", cure="ask the operator for a new token: zymkey-fleet invite"
        )
    return token


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(NAME_RULE)
    return value


def _url(value: Any) -> str:
    parts = urlsplit(str(value))
    if parts.scheme != "https":
        raise ValueError("an enrollment URL starts with https://, because a token is sent to it")
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("an enrollment URL looks like https://abc.execute-api.eu-central-1.amazonaws.com")
    return str(value).rstrip("/").removesuffix("/.well-known/est")


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


def _port(value: Any) -> int:
    port = int(value)
    if not 1 <= port <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return port


def _duration(value: Any) -> float:
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError("a time looks like 90, 90s, 10m, 2h or 1d")
    return float(match.group(1)) * _SECONDS[match.group(2)]
