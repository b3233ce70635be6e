"""Entry of the audit, which runs every day."""

import os
import time
from typing import Any

from functions.audit_run import PATIENT, audit
from functions.deployment import Deployment
from functions.log import log

# Made while the function starts, as the HTTP API's are.
_deployment = Deployment.connect(os.environ, repeatable=PATIENT) if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None


@log.each_request
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """What the schedule calls, or a person with the event ``{}``. Returns how many findings there are, by kind.

    A call that fails is tried again by Lambda, and the next day.
    """
    if _deployment is None:
        raise RuntimeError("This handler runs in Lambda only.")
    record = audit(
        grace_days=int(os.environ["RENEWAL_GRACE_DAYS"]),
        delete_after_days=int(os.environ["DELETE_AFTER_DAYS"]),
        now=int(time.time()),
        deployment=_deployment,
        declared=os.environ.get("DECLARED", ""),
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    return dict(record.counts)
