"""Whether whoever runs the smoke test could write what the ledger remembers of CAs."""

from __future__ import annotations

from fleet.deployment import Deployment
from fleet.errors import FleetError, NotPermitted
from fleet.failures import explained

# No key in KMS has this ARN.
_NO_KEY = "zymkey-fleet-verify"


def ca_items(deployment: Deployment) -> str:
    """How AWS answers a write, in a transaction, to an item that the managed policies keep out of reach.

    The write has a condition that cannot hold, so it changes nothing even where it is permitted.
    """
    try:
        with explained():
            deployment.ledger.write_no_certificate_authority(_NO_KEY)
    except NotPermitted:
        return "refused"
    except FleetError as error:
        return error.cause
    return "permitted"
