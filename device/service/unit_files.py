"""The files of the service, as they are installed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .unit_syntax import check_executable, check_writable, glob_quoted, quoted, unspecified

USER = "zymkey-iot"
SYSTEM_UNITS = PurePosixPath("/etc/systemd/system")
USERS = PurePosixPath("/etc/sysusers.d/zymkey-iot.conf")
FOLDERS = PurePosixPath("/etc/tmpfiles.d/zymkey-iot.conf")

# How the units name what a service cannot find by itself: the variables that ``settings`` reads.
STATE_VARIABLE, KEY_VARIABLE, ON_RENEW_VARIABLE = "ZYMKEY_IOT_STATE", "ZYMKEY_IOT_KEY", "ZYMKEY_IOT_ON_RENEW"

BOOTSTRAP, RENEW, TIMER = "zymkey-iot-bootstrap.service", "zymkey-iot-renew.service", "zymkey-iot-renew.timer"
PROOF = "zymkey-iot-proof.service"
ENABLED = (BOOTSTRAP, TIMER)

_TEMPLATES = Path(__file__).with_name("units")
_STATE_OF_SERVICES = Path("/var/lib")

# Groups that are known to give access to the key. Zymbit's library leaves the bus to its daemon zkifc, which runs as
# zymbit, so the groups of the bus are for systems that have no group zymbit.
_DAEMON, _BUS = ("zymbit",), ("i2c", "gpio")
_TOKENS = ("zk_pkcs11", "softhsm")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the units are made of. All paths are absolute, as the system has them on which the service runs."""

    command: Path
    """The zymkey-iot to run."""

    groups: Sequence[str]
    """The groups of the service's user, beside its own."""

    state: Path
    key: str | None = None
    """The key's URI; None when the service finds it by itself, in device.json or as the default."""

    on_renew: Path

    @property
    def state_is_made_by_systemd(self) -> bool:
        """Whether the folder is a StateDirectory: it is below /var/lib, and needs no quotes within quotes there."""
        plain = not any(character in str(self.state) for character in ":\"'\\")
        return plain and _STATE_OF_SERVICES in self.state.parents


def files(service: Service) -> dict[PurePosixPath, str]:
    """The files by their paths.

    Raises:
        UsageError: a path or the key has a character that a unit cannot have.
    """
    units = {SYSTEM_UNITS / name: _rendered(name, service) for name in (BOOTSTRAP, RENEW, TIMER)}
    folders = {} if service.state_is_made_by_systemd else {FOLDERS: _folders(service.state)}
    return {**units, USERS: _users(service.groups), **folders}


def proof(service: Service, output: Path) -> str:
    """A unit with the restrictions of the others, which signs once and writes what it found to ``output``."""
    return _rendered(PROOF, service, output=str(output))


def _rendered(name: str, service: Service, *, output: str = "") -> str:
    state = check_writable(str(service.state), "the state folder")
    hardened = (_TEMPLATES / "hardened.conf").read_text(encoding="utf-8").rstrip()
    text = (_TEMPLATES / name).read_text(encoding="utf-8").replace("@HARDENED@", hardened)
    values = {
        "COMMAND": quoted(check_executable(str(service.command))),
        "CERTIFICATE": unspecified(f"{state}/certificate.pem"),
        "DEVICE": unspecified(f"{state}/device.json"),
        "MOUNTS": f"RequiresMountsFor={quoted(state)}",
        "STATE": _writable(service),
        "ENVIRONMENT": "\n".join(_environment(service)),
        "OUTPUT": output,
    }
    # In one pass: a path may look like a placeholder.
    return re.sub("@([A-Z]+)@", lambda placeholder: values[placeholder.group(1)], text)


def _writable(service: Service) -> str:
    """The one folder that the service may write."""
    if service.state_is_made_by_systemd:
        name = service.state.relative_to(_STATE_OF_SERVICES)
        return f"StateDirectory={quoted(str(name))}\nStateDirectoryMode=0700"
    return f"ReadWritePaths={quoted(str(service.state))}"


def _environment(service: Service) -> list[str]:
    """What ``zymkey-iot`` reads in the place of its options; it wins over the settings files."""
    variables = {STATE_VARIABLE: str(service.state), ON_RENEW_VARIABLE: str(service.on_renew)}
    if service.key is not None:
        variables[KEY_VARIABLE] = service.key
    return [
        f"Environment={quoted(f'{name}={check_writable(value, name)}')}" for name, value in sorted(variables.items())
    ]


def groups_for(key: str, existing: Sequence[str]) -> list[str]:
    """The groups, among ``existing``, that a user needs for ``key`` (a URI)."""
    kind, _, rest = key.partition(":")
    if kind == "pkcs11" or rest.startswith("pkcs11"):
        return [group for group in _TOKENS if group in existing]
    if kind == "file":
        return []
    return [group for group in _DAEMON if group in existing] or [group for group in _BUS if group in existing]


def _users(groups: Sequence[str]) -> str:
    lines = [
        "# The user that runs the services of zymkey-iot (sysusers.d(5)), and its groups, which may use the key.",
        f'u {USER} - "AWS IoT identity" /var/lib/zymkey-iot',
        *(f"m {USER} {group}" for group in groups),
    ]
    return "\n".join(lines) + "\n"


def _folders(state: Path) -> str:
    """The state folder and what is in it are the service's, also after a bootstrap by root."""
    return (
        "# The state folder of the services of zymkey-iot (tmpfiles.d(5)).\n"
        f"d {quoted(str(state))} 0700 {USER} {USER} -\n"
        f"Z {glob_quoted(str(state))} - {USER} {USER} -\n"
    )
