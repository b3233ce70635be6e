"""Failures become refusals in one place: who can act, and whether to try again."""

import traceback
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.log import bounded, log
from functions.metrics import Metric, counted, refused
from functions.refusals import (
    BadRequest,
    Conflict,
    Forbidden,
    NotYet,
    Queued,
    Refusal,
    Throttled,
    TooMany,
    Unauthorized,
    Unavailable,
)
from ledger import (
    Blocked,
    Busy,
    DailyLimitReached,
    KeyTaken,
    LeaseLost,
    LedgerError,
    NotInvited,
    RequestsFull,
    TokenExpired,
    TokenSpent,
)
from ledger.throttling import is_throttling
from pki.csr import CsrError
from pki.received_certificate import CertificateError

_RETRY_THROTTLED_SECONDS = 5
_RETRY_FAILED_SECONDS = 10


def refusal_for(error: Exception, *, request_id: str) -> Refusal:
    """The refusal that a failure is answered with. When the failure is AWS's or ours, its cause is in the log."""
    match error:
        case Refusal():
            return error
        case CsrError() | CertificateError():
            return BadRequest(str(error))
        case NotInvited() | TokenExpired() | TokenSpent():
            return Unauthorized(str(error))
        case Blocked():
            return Forbidden(str(error))
        case KeyTaken():
            return Forbidden("This key already belongs to a device with another name.", reason=str(error))
        case Busy():
            return NotYet(str(error), retry_after=error.retry_after)
        case LeaseLost():
            return NotYet(str(error), retry_after=1)
        case RequestsFull():
            return TooMany(str(error), retry_after=300)
        case DailyLimitReached():
            return TooMany(str(error), retry_after=error.retry_after)
        case LedgerError():
            return Conflict(str(error))
        case _:
            return _unavailable(error, request_id)


def count_of(error: Exception, refusal: Refusal) -> dict[str, Any]:
    """Members of a log line that count a failure that was answered with ``refusal``."""
    match refusal:
        case Queued():
            return counted(Metric.QUEUED)
        case NotYet():
            return counted(Metric.PENDING)
        case Throttled():
            return counted(Metric.THROTTLED)
        case Unavailable():
            return counted(Metric.FAILED)
        case _:
            return refused(error)


def _unavailable(error: Exception, request_id: str) -> Refusal:
    """AWS throttles (logged as a warning), an AWS call failed, or our own code did (both logged as an error)."""
    if is_throttling(error):
        log.warning("throttled by AWS", operation=error.operation_name)
        return Throttled(
            "AWS is throttling this service. Nothing is lost: send the same request again later.",
            retry_after=_RETRY_THROTTLED_SECONDS,
        )
    if isinstance(error, ClientError | BotoCoreError):
        # AWS's own sentence: it names the operation and, when denied, the missing permission.
        log.error("an AWS call failed", reason=bounded(str(error)))
    else:
        # The place, but neither the values nor the whole trace: they could hold secrets.
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.error("unexpected", reason=type(error).__name__, file=place.filename, line=place.lineno)
    return Unavailable(
        "The enrollment service failed. Nothing is lost: send the same request again later. If it fails again, the "
        f"operator finds the cause in the function's log, under the request id {request_id}.",
        retry_after=_RETRY_FAILED_SECONDS,
    )
