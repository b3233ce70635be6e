"""Entry of the HTTP API's function: decode, call one function, encode. Every refusal becomes a reply here."""

import os
import time
from collections.abc import Callable
from typing import Any

from functions import reply
from functions.configuration import configuration
from functions.deployment import Deployment
from functions.enroll import enroll
from functions.failures import count_of, refusal_for
from functions.log import bounded, log
from functions.refusals import NotFound, Unauthorized, UnknownRenewal
from functions.request import HttpRequest, decode, request_id_of, route_of
from functions.upload import upload
from ledger import NotInvited, TokenExpired, TokenSpent
from pki.csr import read_csr


def _simpleenroll(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    """RFC 7030 section 4.2. Enrollment and re-enrollment are the same: the key is the device's identity.

    A client that accepts it gets the configuration with the certificate, and need not ask for it.
    """
    csr = read_csr(request.body)
    certificate = enroll(csr, request.credentials, source=request.source, now=_now(), deployment=deployment)
    if reply.ENROLLMENT_TYPE in request.accepts:
        return reply.enrolled(certificate, configuration(deployment))
    return reply.issued(certificate)


def _simplereenroll(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    """RFC 7030 section 4.2.2."""
    try:
        return _simpleenroll(request, deployment)
    except (Unauthorized, NotInvited, TokenExpired, TokenSpent) as error:
        raise UnknownRenewal(error.reason if isinstance(error, Unauthorized) else str(error)) from None


def _cacerts(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    """RFC 7030 section 4.1."""
    if not deployment.choices.ca_certificates:
        raise NotFound("Amazon's CA signs for this fleet, and AWS does not publish its certificate.")
    return reply.ca_certificates(deployment.choices.ca_certificates)


def _configuration(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    return reply.document(configuration(deployment))


def _certificates(request: HttpRequest, deployment: Deployment) -> reply.Reply:
    return reply.document(
        upload(request.body, request.credentials, source=request.source, now=int(_now()), deployment=deployment)
    )


def _now() -> float:
    return time.time()


_EST = "/.well-known/est"
# An EST label (RFC 7030 section 3.2.2) chooses between CAs. A fleet has one that issues, so every label means that one.
_ROUTES: dict[str, Callable[[HttpRequest, Deployment], reply.Reply]] = {
    f"GET {_EST}/cacerts": _cacerts,
    f"GET {_EST}/{{label}}/cacerts": _cacerts,
    f"POST {_EST}/simpleenroll": _simpleenroll,
    f"POST {_EST}/{{label}}/simpleenroll": _simpleenroll,
    f"POST {_EST}/simplereenroll": _simplereenroll,
    f"POST {_EST}/{{label}}/simplereenroll": _simplereenroll,
    "GET /configuration": _configuration,
    "POST /certificates": _certificates,
}


def answer(event: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    """Answer one event of the HTTP API (payload format 2.0). Never raises: a failure is a reply too."""
    try:
        request = decode(event)
        route = _ROUTES.get(request.route)
        if route is None:
            raise NotFound("This path is not part of the enrollment API.")
        answered = route(request, deployment)
    except Exception as error:  # noqa: BLE001  the one place where failures become replies
        refusal = refusal_for(error, request_id=request_id_of(event))
        answered = reply.refusal(refusal)
        log.info(
            "refused",
            status=refusal.status,
            reason=bounded(refusal.reason),
            route=bounded(route_of(event)),
            **count_of(error, refusal),
        )
    return answered.encode()


# Made while the function starts: a device is waiting, and Lambda gives a starting function a full CPU at any memory.
_deployment = Deployment.connect(os.environ) if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None


@log.each_request
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    return answer(event, _deployment)
