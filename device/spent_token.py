"""When the one-time token is spent: this device has its certificate in use, so nobody needs the token any more."""

from .kept import find_certificate
from .report import Report
from .settings import Settings
from .store import StateFolder


def remove_spent_token(settings: Settings, state: StateFolder, report: Report) -> None:
    """Remove the token from the settings file that holds it, or from the token file that a settings file names.

    Only after the certificate is kept, so that a run that is interrupted finds the token again; and again at each run
    until it is gone, so that one that is interrupted in between leaves no token behind.
    """
    place = settings.token_place
    if place is None or settings.token is None or settings.keep_token:
        return
    certificate = find_certificate(state)
    if certificate is None or state.device().get("name", settings.name) != settings.name:
        return
    # Imported here: a device needs its token once.
    from .one_time_token import remove_spent

    if remove_spent(place, settings.token, report.warn):
        report.note(f"the token in {place.path} is spent, and was removed; keep-token = true would have left it.")
