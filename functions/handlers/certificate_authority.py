"""Entry of the custom resource that makes a CA in KMS."""

import os
import time
from datetime import UTC, datetime
from typing import Any

from functions.certificate_authority import answer, patiently
from functions.clients import Clients
from ledger import Ledger


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """What Lambda calls. Clients are made here: a deployment is no hot path."""
    clients = Clients()
    ledger = Ledger(client=clients.dynamodb(), table=os.environ["LEDGER_TABLE"])
    kms, iot = clients.kms(), clients.iot()
    return patiently(
        lambda: answer(event, ledger=ledger, kms=kms, iot=iot, now=datetime.now(UTC)),
        pause=time.sleep,
    )
