"""The fleet's enrollment URLs as one run knows them: the one to ask, and others for when it does not serve."""

from collections.abc import Callable
from typing import TypeVar

from . import configuration as cloud
from . import kept_settings
from .configuration import Configuration
from .cures import TELL_OPERATOR
from .errors import Busy, EnrollmentRefused, NetworkError, ServerNotTrusted, UnexpectedReply
from .kept import find_configuration
from .network import Network
from .report import Report
from .settings import Settings
from .store import StateFolder

# Failures that may be this server's alone. One that is no longer the fleet's may refuse with 401, too.
_ANOTHER_MAY_SERVE = (NetworkError, ServerNotTrusted, EnrollmentRefused, UnexpectedReply, Busy)

Result = TypeVar("Result")


class EnrollmentUrls:
    """Attributes:
    given: the URL of the settings.
    chosen: whether a person has set it: by an option, a variable or a settings file.
    answered: the one that has answered last; before that ``given``.
    """

    def __init__(
        self, settings: Settings, state: StateFolder, report: Report, *, network: Callable[[], Network], renewal: bool
    ) -> None:
        """A bootstrap (not ``renewal``) asks the server that a person has chosen, and no other."""
        self._settings = settings
        self._state = state
        self._report = report
        self._network = network
        self.given = self.answered = settings.url or ""
        self.chosen = not kept_settings.is_kept(settings.sources["url"], settings.state)
        self._others = [] if self.chosen and not renewal else self._known_others()

    def ask(self, operation: Callable[[str], Result]) -> Result:
        """``operation`` with a URL: the one that answered last or, when that does not serve, another of this fleet.

        Raises:
            DeviceError: as ``operation`` raises it; when no URL serves, that of the first.
        """
        first = self.answered
        try:
            return operation(first)
        except _ANOTHER_MAY_SERVE as failure:
            for url in dict.fromkeys((self.given, *self._others)):
                if url == first:
                    continue
                try:
                    if url != self.given:
                        found, _ = cloud.fetch(url, network=self._network())
                        self._check(url, found)
                    result = operation(url)
                except _ANOTHER_MAY_SERVE:
                    continue
                self._report.warn(f"{first} does not serve: {failure.cause} {url} does, and was asked in its place.")
                self.answered = url
                return result
            raise

    def _known_others(self) -> list[str]:
        """One that has worked before; and one that was announced, and could not be proved yet."""
        device, configuration = self._state.device(), find_configuration(self._state)
        if not device or not kept_settings.is_same_device(device, self._settings):
            return []
        announced = None if configuration is None else configuration.enrollment_url
        return [url for url in (self._settings.fallback_url, announced) if url is not None]

    def check_answer(self, found: Configuration) -> None:
        """Check a configuration from the server that answered, if that is another than the settings'.

        Its name may have gone to somebody else since it worked, or since it was announced. So what it has issued is
        proved by a publish to the data endpoint of before.

        Raises:
            UnexpectedReply: it is another fleet's.
        """
        if self.answered != self.given:
            self._check(self.answered, found)

    def _check(self, url: str, found: Configuration) -> None:
        known = find_configuration(self._state)
        if known is not None:
            check_is_this_fleet(url, found, known)


def check_is_this_fleet(url: str, found: Configuration, known: Configuration) -> None:
    """Compare what does not change in a fleet's life.

    Raises:
        UnexpectedReply: it is another fleet's.
    """
    for what in ("fleet", "data_endpoint", "https_port", "mqtt_port", "credential_endpoint"):
        here, there = getattr(known, what), getattr(found, what)
        # A fleet may begin or cease to give credentials; its account's credential provider stays where it is.
        if here != there and not (what == "credential_endpoint" and None in (here, there)):
            raise UnexpectedReply(
                f"{url} is not this fleet's: its {what.replace('_', ' ')} is {there}, and not {here}.",
                cure=TELL_OPERATOR,
            )
