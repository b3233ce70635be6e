"""What is counted, inside of lines of the log: CloudWatch makes metrics of them (embedded metric format).

A count is a few more members of a line that is logged anyway. So it needs neither a call nor a package, cannot fail,
and leads from the metric to the line with the device and the request. Format: Amazon CloudWatch User Guide,
"Specification: Embedded metric format".

A dimension is a metric of its own, and costs money. So there are two, and neither holds what somebody else has sent:
the fleet, and the class of a refusal.
"""

import os
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

NAMESPACE = "ZymkeyFleet"


class Metric(StrEnum):
    """What is counted. Alarms and dashboard (``infra/monitoring.py``) know them by these names."""

    ENROLLED = "Enrolled"  # a device has its first certificate
    RENEWED = "Renewed"  # a device has another certificate
    PENDING = "Pending"  # 202: waits for approval, for a signature elsewhere, or for another request of the same key
    QUEUED = "Queued"  # 202: AWS IoT registers others first; each device is told its moment
    REFUSED = "Refused"  # 4xx, or a first connection that was not let in; by reason
    THROTTLED = "Throttled"  # an AWS service had too many calls
    FAILED = "Failed"  # 503 for any other cause: an AWS call failed, or a defect of ours
    EXPIRING = "ExpiringWithin30Days"  # devices that should have renewed, and have 30 days or less left
    EXPIRED = "Expired"  # devices whose certificate has expired
    AUDIT_FINDINGS = "AuditFindings"  # where the ledger and AWS IoT do not agree, without what is harmless


def counted(metric: Metric) -> dict[str, Any]:
    """Members of a log line that count one."""
    return measured({metric: 1})


def measured(values: Mapping[Metric, int]) -> dict[str, Any]:
    """Members of a log line that report how many there are."""
    return _embedded(values, {"Fleet": _fleet()})


def refused(error: Exception) -> dict[str, Any]:
    """Members of a log line that count one refusal, by the name of its class: what it says may be a stranger's."""
    return _embedded({Metric.REFUSED: 1}, {"Fleet": _fleet(), "Reason": type(error).__name__})


def _embedded(values: Mapping[Metric, int], dimensions: dict[str, str]) -> dict[str, Any]:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": str(name), "Unit": "Count"} for name in values],
    }
    return {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        **dimensions,
        **{str(name): value for name, value in values.items()},
    }


def _fleet() -> str:
    # A dimension may not be empty.
    return os.environ.get("FLEET") or "-"
