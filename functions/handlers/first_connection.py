"""Entry for just-in-time registration: AWS IoT saw a certificate of the fleet's CA for the first time."""

import os
import time
from typing import Any

from functions.deployment import Deployment
from functions.first_connection import admit
from functions.log import bounded, log

# Made while the function starts, as the HTTP API's are.
_deployment = Deployment.connect(os.environ) if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None


@log.each_request
def handler(event: dict[str, Any], context: Any) -> str:
    """What the topic rule calls."""
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    log.append_keys(certificate_id=bounded(str(event.get("certificateId"))))
    outcome = admit(event, admission=os.environ["FIRST_CONNECTION"], now=int(time.time()), deployment=_deployment)
    log.info("first connection", outcome=bounded(outcome))
    return outcome
