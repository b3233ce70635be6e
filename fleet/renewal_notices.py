"""Tells devices that they shall renew, on the topic that each of them may subscribe to. For speed alone:

the ledger has what the operator asked for, and a device finds it there when it asks by itself. So a notice that cannot
be published is a note at the end, and no failure.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from fleet.errors import FleetError
from fleet.failures import explained
from fleet.output import note
from fleet.pace import PUBLISH_PER_SECOND, keep_pace

if TYPE_CHECKING:
    from fleet.deployment import Deployment

# What fails so often has failed for good: the others are not kept waiting for it.
_MOST_FAILURES = 3


class RenewalNotices:
    """Publishes with the operator's credentials over HTTPS (AWS IoT data plane, Publish). Threads may share it.

    AWS permission: ``iot:Publish`` on the fleet's topics of that kind.
    """

    def __init__(self, deployment: Deployment) -> None:
        """Make the client; none where the deployment announces no topic, as those of earlier releases."""
        self._topic = deployment.outputs.renewal_topic
        self._client = deployment.iot_data if self._topic else None
        if self._client is not None:
            keep_pace(self._client, "Publish", PUBLISH_PER_SECOND)
        self._lock = threading.Lock()
        self._failures = 0
        self._last_failure: FleetError | None = None
        self._left_out = 0

    def publish(self, name: str) -> bool:
        """Tell a device; whether AWS IoT has taken the message. That a device subscribes, AWS IoT does not say."""
        if self._client is None:
            return False
        with self._lock:
            if self._failures >= _MOST_FAILURES:
                self._left_out += 1
                return False
        try:
            with explained():
                self._client.publish(
                    topic=self._topic.replace("{device}", name), qos=1, payload=json.dumps({"renew": name})
                )
        except FleetError as failure:
            with self._lock:
                self._failures += 1
                self._last_failure = failure
            return False
        return True

    def sum_up(self) -> None:
        """Say on standard error what was not published, if anything."""
        if self._last_failure is None:
            return
        number, cause = self._failures + self._left_out, self._last_failure.cause.rstrip(".")
        devices = "The device was" if number == 1 else f"{number} devices were"
        note(f"{devices} not told at once ({cause}). What was asked for stands: a device asks once a day by itself.")
