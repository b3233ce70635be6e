"""Entry for what shows that a certificate is in use: a presence event, or a device's confirmation."""

import os
import time
from typing import Any

from functions.deployment import Deployment
from functions.log import log
from functions.seen import seen

# Made while the function starts, as the HTTP API's are.
_deployment = Deployment.connect(os.environ) if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None


@log.each_request
def handler(event: dict[str, Any], context: Any) -> str:
    """What the topic rules call. Without a line in the log for an event of no interest: nearly all are."""
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    return seen(event, now=int(time.time()), deployment=_deployment)
