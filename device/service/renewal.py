"""Whether anything on this machine will renew this device's certificate: the one answer of bootstrap, status, doctor.

Only systemd is asked. Where it does not run (a container, another init), something else may run ``zymkey-iot renew``,
so there the answer is "not known", and what has to be arranged.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import EXIT_CODES, UsageError
from ..settings import DEFAULT_STATE, Settings
from .systemctl import Systemd
from .unit_files import KEY_VARIABLE, RENEW, STATE_VARIABLE, TIMER

INSTALL = "sudo zymkey-iot service install"
WITHOUT_SYSTEMD = "have zymkey-iot renew --if-due run every day as root, by cron for example"
_STARTS_AT_BOOT = ("enabled", "static", "indirect", "generated", "alias")

# As in the unit: what failed after them is the unit's other command, which runs the hooks.
_RENEWAL_WENT_WELL = ("0", "7", "13")

# What systemctl show is asked for, of both units.
_PROPERTIES = (
    *("Id", "LoadState", "UnitFileState", "ActiveState", "NextElapseUSecRealtime"),
    *("Result", "ExecMainStatus", "ExecMainExitTimestamp", "Environment"),
)


class Plan(StrEnum):
    """The words never change: programs read them."""

    SCHEDULED = "scheduled"
    FAILING = "failing"
    """The timer runs, and the last run failed."""

    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """Who renews: ``text`` is a phrase when a renewal is scheduled, and otherwise a sentence; ``cure`` goes with it."""

    plan: Plan
    text: str
    cure: str = ""

    def document(self) -> dict[str, str]:
        """For ``--json``."""
        return {"plan": self.plan.value, "text": self.text, **({"try": self.cure} if self.cure else {})}

    def line(self) -> str:
        """For a person."""
        return f"{self.text[0].upper()}{self.text[1:]} Try: {self.cure}" if self.cure else self.text


def planned_renewal(settings: Settings) -> Renewal:
    """What systemd says of the timer and of its last run, for the state folder and key of ``settings``.

    Costs one run of ``systemctl`` where systemd runs, and nothing elsewhere.
    """
    try:
        systemd = Systemd(Path("/"))
        if not systemd.is_running:
            return _not_known("systemd does not run here")
        timer, service = systemd.show(TIMER, RENEW, properties=_PROPERTIES)
    except UsageError as error:
        return _not_known(error.cause.rstrip("."))
    return _obstacle(timer, service, settings) or _last_run(timer, service)


def _not_known(why: str) -> Renewal:
    return Renewal(
        plan=Plan.UNKNOWN,
        text=f"it is not known whether anything renews this certificate: {why}.",
        cure=WITHOUT_SYSTEMD,
    )


def _none(why: str, cure: str) -> Renewal:
    return Renewal(plan=Plan.NONE, text=f"nothing renews this certificate: {why}.", cure=cure)


def _obstacle(timer: Mapping[str, str], service: Mapping[str, str], settings: Settings) -> Renewal | None:
    """Why the timer will not renew this certificate; None when it will."""
    for unit, shown in ((TIMER, timer), (RENEW, service)):
        match shown.get("LoadState"):
            case "loaded":
                continue
            case "not-found":
                return _none("the service is not installed", INSTALL)
            case "masked":
                return _none(f"{unit} is masked", f"sudo systemctl unmask {unit} && {INSTALL}")
            case other:
                return _none(f"systemd cannot load {unit} ({other})", f"see why: systemctl status {unit}; {INSTALL}")
    elsewhere = _another_device(service, settings)
    if elsewhere is not None:
        return elsewhere
    if timer.get("ActiveState") != "active":
        return _none(f"{TIMER} is {timer.get('ActiveState')}", f"sudo systemctl enable --now {TIMER}")
    if timer.get("UnitFileState") not in _STARTS_AT_BOOT:
        return _none(f"{TIMER} does not start at the next boot", f"sudo systemctl enable --now {TIMER}")
    return None


def _another_device(service: Mapping[str, str], settings: Settings) -> Renewal | None:
    """Whether the unit has the state folder and the key of ``settings``. A unit without a key finds the same key."""
    environment = dict(word.partition("=")[::2] for word in words(service.get("Environment", "")))
    state, here = Path(environment.get(STATE_VARIABLE, DEFAULT_STATE)), settings.state.absolute()
    key = environment.get(KEY_VARIABLE, settings.key)
    other_state, other_key = state.resolve() != here.resolve(), _slot_0(key) != _slot_0(settings.key)
    if not other_state and not other_key:
        return None
    which = f"in {state}" if other_state else f"with the key {key}"
    options = f" --state {shlex.quote(str(here))}" if here != DEFAULT_STATE else ""
    options += f" --key {shlex.quote(settings.key)}" if other_key else ""
    return _none(f"the service renews another one, {which}", INSTALL + options)


def _slot_0(key: str) -> str:
    """``zymkey:slot=0`` is ``zymkey:``."""
    return key.removesuffix("slot=0")


def _last_run(timer: Mapping[str, str], service: Mapping[str, str]) -> Renewal:
    result = service.get("Result", "success")
    if result != "success":
        return _failing(result, service.get("ExecMainStatus", ""), service.get("ExecMainExitTimestamp"))
    following = timer.get("NextElapseUSecRealtime")
    return Renewal(
        plan=Plan.SCHEDULED, text="by the timer" + (f", which next looks on {following}" if following else "")
    )


def _failing(result: str, status: str, when: str | None) -> Renewal:
    on = f" on {when}" if when else ""
    if result == "exit-code" and status in _RENEWAL_WENT_WELL:
        return Renewal(
            plan=Plan.FAILING,
            text=f"the hooks failed after the last renewal run{on}.",
            cure="sudo zymkey-iot hooks, which says which hook fails",
        )
    meaning = {str(code): meaning for code, meaning in EXIT_CODES if code}.get(status, "")
    code = f", exit code {status}" + (f": {meaning}" if meaning else "") if status not in ("", "0") else ""
    return Renewal(
        plan=Plan.FAILING,
        text=f"the last renewal run failed{on} ({result}{code}).",
        cure="see why: journalctl -u zymkey-iot-renew; then try it: sudo zymkey-iot renew --if-due",
    )


def words(shown: str) -> list[str]:
    """The words of a list as ``systemctl show`` prints it: a word with a blank or a quote stands in double quotes."""
    found = re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', shown)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in found]
