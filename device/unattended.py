"""A bootstrap that nobody looks on: the service's. It stays one process, and never gives up.

Between two tries it holds nothing but its key: no lock, so that a person may bootstrap by hand, and no settings, so
that what somebody corrects meanwhile counts. It ends when the device has its certificate, and when another try in this
process would not help: the settings are wrong from the start (exit code 2, final), or the key or the storage fails, for
which systemd starts a new process that loads the vendor's library anew.
"""

import gc
import random
import time
from collections.abc import Callable

from . import retry
from .bootstrap import Outcome, bootstrap
from .candidate import Turn
from .errors import (
    AlreadyRunning,
    CertificateRefused,
    DeviceError,
    EnrollmentRefused,
    ServerNotTrusted,
    TopicDenied,
    UnexpectedReply,
    UsageError,
)
from .kept import find_turn
from .kept_settings import is_same_device
from .keys import DeviceKey
from .report import Report
from .settings import Settings
from .steps import open_device_key, span
from .store import StateFolder


class SettingsWrong(UsageError):
    """Settings with which this process has begun are wrong now: somebody changes them, or has made an error in it."""

    @property
    def kind(self) -> str:
        return "usage-error"


PATIENT_WITH = (
    EnrollmentRefused,
    UnexpectedReply,
    ServerNotTrusted,
    CertificateRefused,
    TopicDenied,
    AlreadyRunning,
    SettingsWrong,
)
"""What may go away, though not within seconds: the operator lets the device in or corrects the policy, NTP sets the
clock, a captive portal lets go, a person ends what they run by hand or saves the settings file again."""

# In seconds. A service that starts later than this after power-on was started by a person, or by systemd after a
# failure, and is one of few: it asks at once.
POWER_ON = 600.0
_FARTHEST_TURN = 31 * 86400.0
# After this time, in seconds, a wait for a turn looks at the clock again. A Pi has none that goes on without power: it
# begins where it was at the last shutdown, until NTP sets it.
_CLOCK_MAY_BE_SET = 60.0


def bootstrap_unattended(
    settings: Settings, load_again: Callable[[], Settings], report: Report, *, mqtt: bool
) -> tuple[Outcome, Settings]:
    """Bootstrap, whenever that becomes possible; return the outcome, and the settings that led to it.

    Raises:
        DeviceError: what another try in this process does not put right; or the last error, where a person has limited
            the time with ``give-up-after``.
    """
    wait_for_first(settings, report)
    key, tries = _OneKey(), iter([settings])

    def once() -> tuple[Outcome, Settings]:
        first = next(tries, None)
        if first is not None:
            return bootstrap(first, report, mqtt=mqtt, open_key=key.open), first
        try:
            current = load_again()
            return bootstrap(current, report, mqtt=mqtt, open_key=key.open), current
        except UsageError as error:
            raise SettingsWrong(error.cause, cure=error.cure) from error

    def on_wait(error: DeviceError, seconds: float) -> None:
        cure = f" Try: {error.cure}" if error.cure and isinstance(error, PATIENT_WITH) else ""
        report.note(f"{error.cause} Again in {span(seconds)}.{cure}")
        report.forget_steps()
        gc.collect()

    return retry.retry(
        once,
        give_up_after=settings.give_up_after,
        on_wait=on_wait,
        temperament=retry.UNATTENDED,
        patient_with=PATIENT_WITH,
    )


def wait_for_first(settings: Settings, report: Report, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait as ``first_wait`` says; for a turn, until the clock shows its moment, also if it is set meanwhile."""
    wait = first_wait(settings, since_power_on=time.clock_gettime(time.CLOCK_BOOTTIME))
    if wait <= 0:
        return
    report.note(f"first request in {span(wait)}: not all devices at once.")
    turn = _turn(settings)
    while turn is not None and wait > _CLOCK_MAY_BE_SET:
        sleep(_CLOCK_MAY_BE_SET)
        wait = min(wait - _CLOCK_MAY_BE_SET, turn.seconds)
    sleep(max(0.0, wait))


def first_wait(settings: Settings, *, since_power_on: float, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the first request: at random after power-on, which a whole fleet may have had at this moment.

    A device that had its turn in the queue when the power went comes back at its turn.
    """
    turn = _turn(settings)
    if turn is not None:
        return min(turn.seconds, retry.LONGEST_RETRY_AFTER)
    return chance() * settings.first_wait if since_power_on < POWER_ON else 0.0


def _turn(settings: Settings) -> Turn | None:
    """This device's turn in the queue, if it is still to come."""
    state = StateFolder(settings.state)
    candidate, turn = state.candidate(), find_turn(state)
    mine = turn is not None and candidate is not None and is_same_device(candidate.device, settings)
    # By this machine's clock, which may be wrong: what is too far off is not believed, and the cloud says it again.
    return turn if turn is not None and mine and 0 < turn.seconds <= _FARTHEST_TURN else None


class _OneKey:
    """Opens the key once, as long as the settings name the same one: PKCS#11 modules have few sessions."""

    def __init__(self) -> None:
        self._key: DeviceKey | None = None
        self._names: tuple[object, ...] = ()

    def open(self, settings: Settings, report: Report) -> DeviceKey:
        names = (settings.key, settings.state)
        if self._key is None or names != self._names:
            self._key, self._names = open_device_key(settings, report, create=True), names
        return self._key
