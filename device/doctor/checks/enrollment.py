"""The enrollment service, asked for what needs no token: the configuration."""

from dataclasses import replace
from typing import Any

from ... import configuration as cloud
from ...cures import BOOTSTRAP, TELL_OPERATOR
from ...enrollment_urls import check_is_this_fleet
from ...errors import DeviceError
from ...kept import find_turn
from ...kept_settings import is_kept
from ..examination import Examination
from ..finding import Finding, ok, warning


def enrollment(examination: Examination) -> Finding:
    fetched = examination.fetched
    if isinstance(fetched, DeviceError):
        raise fetched
    configuration, _ = fetched
    kept = examination.kept_configuration
    facts: dict[str, Any] = {
        "fleet": configuration.fleet,
        "issuer": configuration.issuer,
        "endpoint": configuration.data_endpoint,
    }
    announced = configuration.enrollment_url
    # What a device does not need the kept configuration for: it asks for the credentials' source when it lacks one.
    aside: Any = {"enrollment_url": None, "announcement_refused": None, "credentials": None}
    if kept is not None and replace(kept, **aside) != replace(configuration, **aside):
        differs = [
            name
            for name in ("data_endpoint", "publish", "subscribe")
            if getattr(kept, name) != getattr(configuration, name)
        ]
        path = examination.state.configuration_path
        return warning(
            f"the cloud's configuration has changed since {path} was written"
            + (f": {' and '.join(differs).replace('_', ' ')}." if differs else "."),
            cure=f"remove the file (rm {path}); then {BOOTSTRAP} fetches it again",
            **facts,
        )
    if configuration.announcement_refused is not None:
        return warning(
            f"the fleet announces an enrollment URL that is not allowed: {configuration.announcement_refused}.",
            cure=TELL_OPERATOR,
            **facts,
        )
    about = f"fleet {configuration.fleet}, issuer {configuration.issuer}"
    turn = find_turn(examination.state)
    if turn is not None:
        about += f"; this device waits in its queue: {turn}"
        facts["queue"] = turn.document()
    if announced in (None, examination.url):
        return ok(about, **facts)
    source = examination.settings.sources["url"]
    if is_kept(source, examination.settings.state):
        return ok(f"{about}; it announces {announced}, which the next renewal tries", announced=announced, **facts)
    return warning(
        f"the fleet's enrollment URL is {announced} now, and {examination.url} is set ({source}).",
        cure=f"set {announced} there, or nothing: a renewal finds it then",
        announced=announced,
        **facts,
    )


def enrollment_fallback(examination: Examination) -> Finding:
    """A renewal asks the other URL when the first one does not serve."""
    url = examination.settings.fallback_url
    if url is None:
        return ok("this device knows one enrollment URL")
    try:
        found, _ = cloud.fetch(url, network=examination.network)
        if examination.kept_configuration is not None:
            check_is_this_fleet(url, found, examination.kept_configuration)
    except DeviceError as failure:
        if not examination.passed("enrollment"):
            raise
        return warning(
            f"{failure.cause} A renewal asks there only when {examination.settings.url} does not serve.",
            cure="nothing, if the fleet has left that address; else " + TELL_OPERATOR,
        )
    if examination.passed("enrollment"):
        return ok(f"{url} answers too", url=url)
    return ok(f"{url} answers: a renewal works, although {examination.settings.url} does not serve", url=url)
