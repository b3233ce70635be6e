"""Once a day a device asks the cloud whether it shall renew although its certificate is not due.

So an operator's ``zymkey-fleet renew`` reaches every device, and so does an enrollment URL that the fleet announces.
The question is the request for a renewal, with the request that is kept: it costs the HSM no signature. The cloud sends
the certificate that the device has, or a new one.

The time of the last question is that of a file. A clock that jumps costs one question more, or delays one by a day.
"""

import time
from contextlib import suppress

from .errors import (
    Busy,
    CertificateUnusable,
    EnrollmentRefused,
    NetworkError,
    ServerNotTrusted,
    StorageError,
    UnexpectedReply,
)
from .est import Issued
from .steps import Run, ask_for_certificate

# The timer looks every six hours, give or take half an hour: one run of four asks.
EVERY = 23 * 3600.0


# Of the cloud. What concerns the key or the storage is the run's own failure: it would stop a renewal, too.
_NO_ANSWER = (NetworkError, ServerNotTrusted, Busy, EnrollmentRefused, UnexpectedReply, CertificateUnusable)


def is_due(run: Run) -> bool:
    """Whether a day has passed since the cloud has answered this device."""
    asked = run.state.asked_at()
    return asked is None or not 0 <= time.time() - asked < EVERY


def ask(run: Run) -> Issued | None:
    """What the cloud has for this device now; None when it cannot be asked, or says no: nothing is due, so that is news
    for the journal and no failure. Asked once: who is refused asks again in a day, and who has no network by the next
    run. The caller notes the time of an answer, when it has kept what came with it.

    Raises:
        Pending: the operator has asked for a renewal, and the certificate has to wait for its turn or for a signature.
        KeyUnavailable, StorageError: there is no kept request, and none can be made.
    """
    csr = run.csr
    try:
        return run.urls.ask(lambda url: ask_for_certificate(run, url, csr, operation="simplereenroll"))
    except _NO_ANSWER as failure:
        run.report.note(f"the cloud was asked whether a renewal is wanted: {failure.cause}")
        if not isinstance(failure, NetworkError):
            note_answer(run)
        return None


def note_answer(run: Run) -> None:
    """Let a day pass until the next question. Where that cannot be kept, the next run asks."""
    with suppress(StorageError):
        run.state.note_asked()
