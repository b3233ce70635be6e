"""Entry of the custom resource that goes before the registration of each CA."""

import time
from typing import Any

from functions.certificate_authority import patiently
from functions.clients import Clients
from functions.declared_status import answer


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Lambda calls. Clients are made here: a deployment is no hot path."""
    iot = Clients().iot()
    return patiently(lambda: answer(event, iot=iot), pause=time.sleep)
