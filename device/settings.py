"""The settings of one run, from five places. For each setting the first place that has it wins.

1. the options of the command line
2. environment variables
3. /etc/zymkey-iot.toml
4. /boot/firmware/zymkey-iot.toml, on the SD card's FAT partition, so that a card can be prepared on another computer
5. device.json in the state folder, which holds what the last bootstrap that worked has used

The TOML files have the option names as keys: ``url``, ``name``, ``token``, ``token-file``, ``certificate``, ``key``,
``state``, ``ca-file``, ``endpoint``, ``https-port``, ``mqtt-port``, ``credential-endpoint``, ``proxy``, ``no-proxy``,
``give-up-after``, ``first-wait``, ``tls``, ``on-renew``, ``keep-token``; the card's may set some only
(``settings_files.ON_CARD``).

Once a bootstrap has worked, the card may not lead the device elsewhere: its place is then below device.json, except for
a bootstrap, which is how a device is moved.

A typing error in a file must not end the life of a device that works: it is a warning that names file and line, and the
next place counts, in the end what the last bootstrap has kept. A bootstrap refuses the file, and so does everything
before a bootstrap has worked. Options and variables are never passed over.
"""

import argparse
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import addresses, kept_settings, setting_values, settings_files
from .cures import BOOTSTRAP
from .kept_settings import IDENTITY
from .settings_files import FILES, Layer, under
from .settings_search import OF_ONE_RUN, VARIABLES, Search, environment, find_token, options
from .text import printable

if TYPE_CHECKING:
    from .one_time_token import TokenPlace

DEFAULT_STATE = Path("/var/lib/zymkey-iot")
DEFAULT_ON_RENEW = Path("/etc/zymkey-iot/on-renew.d")
DEFAULT_KEY = "zymkey:"
DEFAULT_GIVE_UP_AFTER = 300.0
# Of a service. Its bootstrap never gives up. Its renewal has the next run of the timer, and an old certificate; within
# this time a busy cloud is asked some times.
RENEWAL_GIVES_UP_AFTER = 1800.0
# So a hundred thousand devices that power on together are 5,000 requests a second, half of what an account may have,
# and a device alone is kept waiting 10 s on average, and not half a minute (``benchmarks/herd.py``).
DEFAULT_FIRST_WAIT = 20.0
HOST_NAME = "this host's name"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one run, validated. ``sources`` says where each was found."""

    url: str | None
    fallback_url: str | None = None
    """Another enrollment URL of the same fleet that has worked; kept in the state folder, and set by nobody."""

    name: str
    token: str | None = field(repr=False)
    certificate: Path | None
    key: str
    state: Path
    ca_file: Path | None
    endpoint: str | None
    https_port: int | None
    mqtt_port: int | None
    credential_endpoint: tuple[str, int] | None = None
    proxy: str | None = field(repr=False)  # may hold a password: print ``Proxy.parse(proxy)``
    no_proxy: str | None
    give_up_after: float
    """In seconds; infinity for never."""

    unattended: bool = False
    """Whether a service has started this run, and nobody looks on."""

    first_wait: float = 0.0
    """In seconds: the longest wait of a service before its first request after this machine was switched on."""

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
    known = tuple(setting for setting in VARIABLES if setting not in OF_ONE_RUN)
    found = [settings_files.read(path, known=known, root=root) for path in files]
    given = [options(arguments), environment(environ)]
    search = Search(problems=[problem for each in found for problem in each.problems])
    layers: list[Layer] = [*given, *(each.layer for each in found)]
    search.files = [each.layer for each in found]
    state, _ = search.pick(layers, "state", (str(DEFAULT_STATE), "default"), setting_values.path)
    in_use = kept_settings.in_use(under(root, state))
    cards = [each for each in found if each.on_card]
    for card in cards:
        url, _ = card.layer.get("url", (None, ""))
        if url is not None and kept_settings.is_former_url(under(root, state), url):
            # The fleet has announced another one since the card was written, and it has worked.
            del card.layer["url"]

    def settings(layers: Sequence[Layer], *, behind: Sequence[Layer] = ()) -> Settings:
        """From these layers, what is kept, and at last the layers ``behind`` it."""
        named, _ = search.pick(layers, "url", None, addresses.enrollment_url)
        kept = kept_settings.read(under(root, state), url=named, continuing=continuing)
        values = _values(search, [*layers, kept, *behind], bootstraps=continuing)
        values["fallback_url"] = search.pick([kept], kept_settings.FALLBACK, None, addresses.enrollment_url)
        token, source, place = find_token(search, given, found, values["name"][0], root, asking=continuing)
        values["token"] = token, source
        return Settings(
            **{setting: value for setting, (value, _) in values.items()},
            token_place=place,
            sources={setting: source for setting, (_, source) in values.items()},
        )

    result = settings(layers)
    if in_use and not continuing and any(setting in each.layer for each in cards for setting in IDENTITY):
        others = [*given, *(each.layer for each in found if not each.on_card)]
        result = _held_against(settings(others, behind=[each.layer for each in cards]), result, warn)
    if search.problems and (continuing or not in_use):
        raise search.problems[0]
    for problem in search.problems:
        passed_over = f"{problem.cause.rstrip('.')}; this is passed over."
        warn(f"{passed_over} Try: {problem.cure}" if problem.cure else passed_over)
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


def _values(search: Search, layers: Sequence[Layer], *, bootstraps: bool) -> dict[str, tuple[Any, str]]:
    """Every setting but the token, and its source."""
    unattended = search.pick(layers, "unattended", (False, "default"), setting_values.yes_or_no)
    patience: float | str = DEFAULT_GIVE_UP_AFTER
    if unattended[0]:
        patience = "never" if bootstraps else RENEWAL_GIVES_UP_AFTER
    return {
        "unattended": unattended,
        "state": search.pick(layers, "state", (str(DEFAULT_STATE), "default"), setting_values.path),
        "url": search.pick(layers, "url", None, addresses.enrollment_url),
        "name": search.pick(layers, "name", (socket.gethostname().partition(".")[0], HOST_NAME), setting_values.name),
        "certificate": search.pick(layers, "certificate", None, setting_values.path),
        "key": search.pick(layers, "key", (DEFAULT_KEY, "default"), setting_values.key),
        "ca_file": search.pick(layers, "ca_file", None, setting_values.or_none(setting_values.path)),
        "endpoint": search.pick(layers, "endpoint", None, setting_values.or_none(addresses.endpoint)),
        "https_port": search.pick(layers, "https_port", None, setting_values.or_none(addresses.port)),
        "mqtt_port": search.pick(layers, "mqtt_port", None, setting_values.or_none(addresses.port)),
        "credential_endpoint": search.pick(
            layers, "credential_endpoint", None, setting_values.or_none(addresses.host_and_port)
        ),
        "proxy": search.pick(layers, "proxy", None, setting_values.proxy),
        "no_proxy": search.pick(layers, "no_proxy", None, setting_values.or_none(str)),
        "tls": search.pick(layers, "tls", (setting_values.TLS_WAYS[0], "default"), setting_values.tls),
        "on_renew": search.pick(layers, "on_renew", (str(DEFAULT_ON_RENEW), "default"), setting_values.path),
        "give_up_after": search.pick(layers, "give_up_after", (patience, "default"), setting_values.patience),
        "first_wait": search.pick(layers, "first_wait", (DEFAULT_FIRST_WAIT, "default"), setting_values.first_wait),
        "keep_token": search.pick(layers, "keep_token", (False, "default"), setting_values.yes_or_no),
    }
