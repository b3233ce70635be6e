"""Entry of the HTTP API's function: decode, call one function, encode. Every refusal becomes a reply here."""

import os
import time
import traceback
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.functions import reply
from infra.functions.configuration import configuration
from infra.functions.deployment import Deployment
from infra.functions.enroll import enroll
from infra.functions.log import log
from infra.functions.refusals import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    NotYet,
    Refusal,
    TooMany,
    Unauthorized,
    Unavailable,
)
from infra.functions.request import HttpRequest, decode
from infra.functions.upload import upload
from ledger import (
    Blocked,
    Busy,
    KeyTaken,
    LeaseLost,
    LedgerError,
    NotInvited,
    RequestsFull,
    TokenExpired,
    TokenSpent,
)
from pki.csr import CsrError, read_csr
from pki.issued_certificate_checks import CertificateError

# What AWS services answer when there were too many calls (the AWS SDKs' standard retry mode has the same list).
_THROTTLED = {
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
_RETRY_THROTTLED_SECONDS = 5
_RETRY_FAILED_SECONDS = 10


def _simpleenroll(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    """RFC 7030 section 4.2. Enrollment and re-enrollment are one: a key is who it is."""
    certificate = enroll(read_csr(request.body), request.credentials, now=_now(), deployment=deployment)
    return reply.issued(certificate)


def _cacerts(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    """RFC 7030 section 4.1."""
    if not deployment.choices.ca_certificates:
        raise NotFound("Amazon's CA signs for this fleet, and AWS does not publish its certificate.")
    return reply.ca_certificates(deployment.choices.ca_certificates)


def _configuration(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    return reply.document(configuration(deployment))


def _certificates(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    return reply.document(upload(request.body, request.credentials, now=_now(), deployment=deployment))


def _now() -> int:
    return int(time.time())


_EST = "/.well-known/est"
# An EST label (RFC 7030 section 3.2.2) chooses between CAs; a fleet has one that issues, so every label means it.
_ROUTES: dict[str, Callable[[HttpRequest, Deployment], reply.Reply]] = {
    f"GET {_EST}/cacerts": _cacerts,
    f"GET {_EST}/{{label}}/cacerts": _cacerts,
    f"POST {_EST}/simpleenroll": _simpleenroll,
    f"POST {_EST}/{{label}}/simpleenroll": _simpleenroll,
    f"POST {_EST}/simplereenroll": _simpleenroll,
    f"POST {_EST}/{{label}}/simplereenroll": _simpleenroll,
    "GET /configuration": _configuration,
    "POST /certificates": _certificates,
}


def answer(event: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    """Answer one event of the HTTP API (payload format 2.0). Never raises: a failure is a reply too."""
    request = decode(event)
    try:
        route = _ROUTES.get(request.route)
        if route is None:
            raise NotFound("There is nothing here.")
        answered = route(request, deployment)
    except Exception as error:  # noqa: BLE001  the one place where failures become replies
        refusal = _refusal(error, request)
        answered = reply.refusal(refusal)
        log.info("refused", status=refusal.status, reason=refusal.sentence, route=request.route)
    return answered.encode()


def _refusal(error: Exception, request: HttpRequest) -> Refusal:
    match error:
        case Refusal():
            return error
        case CsrError() | CertificateError():
            return BadRequest(str(error))
        case NotInvited() | TokenExpired() | TokenSpent():
            return Unauthorized(f"{error} The operator makes a new one with `zymkey-fleet invite NAME`.")
        case Blocked():
            return Forbidden(str(error))
        case KeyTaken():
            return Forbidden("This key already belongs to a device of another name.")
        case Busy():
            return NotYet(str(error), retry_after=error.retry_after)
        case LeaseLost():
            return NotYet(str(error), retry_after=1)
        case RequestsFull():
            return TooMany(str(error), retry_after=300)
        case LedgerError():
            return Conflict(str(error))
        case _:
            return _unavailable(error, request)


def _unavailable(error: Exception, request: HttpRequest) -> Refusal:
    """AWS throttled, AWS failed, or we did. Logged as an error but for the first, which is nobody's fault."""
    if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in _THROTTLED:
        log.warning("throttled by AWS", operation=error.operation_name)
        return Unavailable(
            "AWS takes no more calls at the moment. Nothing is lost: try again a little later.",
            retry_after=_RETRY_THROTTLED_SECONDS,
        )
    if isinstance(error, ClientError | BotoCoreError):
        # AWS's own sentence: it names the operation and, when denied, the missing permission.
        log.error("AWS did not do its part", reason=str(error))
    else:
        # Where, but neither the values nor the whole trace: they could hold what is not for a log.
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.error("unexpected", reason=type(error).__name__, file=place.filename, line=place.lineno)
    return Unavailable(
        "The enrollment service failed. Nothing is lost: try again a little later. If it goes on, the operator finds "
        f"the cause in the function's log under the request id {request.request_id}.",
        retry_after=_RETRY_FAILED_SECONDS,
    )


# Made while the function starts: Lambda gives a starting function a full CPU whatever its memory, and a device waits.
_deployment = Deployment.connect(os.environ) if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None


@log.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    return answer(event, _deployment)
