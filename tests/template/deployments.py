"""Deployments with every part that the settings can ask for."""

from typing import Any

from pki.issuers import ISSUERS, KMS
from tests.template.synthesis import ADOPT, CREDENTIALS

# What no deployment has unless it is asked for, so that the checkers see it too.
OPTIONAL: dict[str, Any] = {
    "domain": {
        "name": "enroll.example.com",
        "certificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0f2b9c1e-0000-4000-8000-000000000000",
        "hostedZoneId": "Z3EXAMPLE",
        "hostedZoneName": "example.com",
    },
    "alarmEmail": "ops@example.com",
    "iotLogging": "ERROR",
    "deviceDefender": {"frequency": "WEEKLY", "dayOfWeek": "SUN"},
    "things": {"groups": ["every"], "allowedGroups": ["plant"], "billingGroup": "research"},
}

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    **{issuer: {"issuer": issuer, **OPTIONAL} for issuer in ISSUERS},
    "adopted": {"issuer": KMS, "adopt": ADOPT[KMS]},
    "credentials": {"issuer": KMS, "credentials": CREDENTIALS},
}
