"""Entry of the daily sweep."""

import os
import time
from typing import Any

from functions.deployment import Deployment
from functions.log import log
from functions.superseded import sweep

# Made while the function starts, as the HTTP API's are.
_deployment = Deployment.connect(os.environ) if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None


@log.each_request
def handler(event: dict[str, Any], context: Any) -> int:
    """What the schedule calls. A call that fails is tried again by Lambda, and tomorrow."""
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    return len(sweep(grace_days=int(os.environ["RENEWAL_GRACE_DAYS"]), now=int(time.time()), deployment=_deployment))
