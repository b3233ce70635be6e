"""The files of the service, as they are installed."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

USER = "zymkey-iot"
SYSTEM_UNITS = PurePosixPath("/etc/systemd/system")
USERS = PurePosixPath("/etc/sysusers.d/zymkey-iot.conf")
HOOKS = PurePosixPath("/etc/zymkey-iot/on-renew.d")

# How the units name what a service cannot find by itself: the variables that ``settings`` reads.
STATE_VARIABLE, KEY_VARIABLE, ON_RENEW_VARIABLE = "ZYMKEY_IOT_STATE", "ZYMKEY_IOT_KEY", "ZYMKEY_IOT_ON_RENEW"

BOOTSTRAP, RENEW, TIMER = "zymkey-iot-bootstrap.service", "zymkey-iot-renew.service", "zymkey-iot-renew.timer"
ENABLED = (BOOTSTRAP, TIMER)

_TEMPLATES = Path(__file__).with_name("units")

# Groups that are known to give access to the key. Zymbit's library leaves the bus to its daemon zkifc, which runs as
# zymbit, so the groups of the bus are for systems that have no group zymbit.
_DAEMON, _BUS = ("zymbit",), ("i2c", "gpio")
_TOKENS = ("zk_pkcs11", "softhsm")


def files(command: Path, groups: Sequence[str]) -> dict[PurePosixPath, str]:
    """The files by their paths. ``command`` is the absolute path of zymkey-iot, ``groups`` are its user's groups."""
    hardened = (_TEMPLATES / "hardened.conf").read_text().rstrip()
    units = {
        SYSTEM_UNITS / name: (_TEMPLATES / name)
        .read_text()
        .replace("@HARDENED@", hardened)
        .replace("@COMMAND@", str(command))
        for name in (BOOTSTRAP, RENEW, TIMER)
    }
    return {**units, USERS: _users(groups)}


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
