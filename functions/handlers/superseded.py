"""Entry of the sweep, which runs every hour."""

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
    """What the schedule calls. A call that fails is tried again by Lambda, and in an hour.

    EventBridge says when the schedule wanted it ("time", RFC 3339 in UTC): the first one of a day also reports what
    expires, and so does a call by hand, which says no time.
    """
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    switched_off = sweep(
        grace_days=int(os.environ["RENEWAL_GRACE_DAYS"]),
        now=int(time.time()),
        deployment=_deployment,
        reports="T00:" in event.get("time", "T00:"),
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    return len(switched_off)
