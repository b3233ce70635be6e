"""The functions' own code in this process, against the deployment's table, KMS key and AWS IoT.

So a test can break single AWS calls, and see a year from now. The SDK's own retries are off: they would hide each
fault that happens once.
"""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from botocore.config import Config

from functions.deployment import Choices, Deployment
from functions.handlers import http_api
from ledger import Ledger
from tests.support.cloud.enrollment import Candidate
from tests.support.cloud.faults import Faults

ONCE = Config(retries={"total_max_attempts": 1})


def choices_of(sandbox: Any) -> Choices:
    """What the deployed HTTP API function was told."""
    (environment,) = (
        function["Environment"]["Variables"]
        for function in sandbox.boto("lambda").list_functions()["Functions"]
        if function["Handler"] == "functions.handlers.http_api.handler"
        and function["Environment"]["Variables"]["LEDGER_TABLE"] == sandbox.outputs["LedgerTable"]
    )
    return Choices.read(environment)


def connect(sandbox: Any, choices: Choices, faults: Faults | None = None) -> Deployment:
    """Clients of the sandbox, with faults."""
    iot, kms, dynamodb = (sandbox.boto(service, config=ONCE) for service in ("iot", "kms", "dynamodb"))
    if faults:
        faults.watch(iot, kms, dynamodb)
    return Deployment(
        choices=choices,
        ledger=Ledger(client=dynamodb, table=choices.ledger_table),
        iot=iot,
        iot_once=iot,
        kms=kms,
    )


def post(
    path: str, body: bytes, credentials: tuple[str, str] | None, deployment: Deployment, *, later: int = 0
) -> dict[str, Any]:
    """Answer a POST, as if ``later`` seconds had passed."""
    headers = {}
    if credentials:
        headers["authorization"] = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
    event = {
        "routeKey": f"POST {path}",
        "headers": headers,
        "body": body.decode(),
        "isBase64Encoded": False,
        "requestContext": {"requestId": "test"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_api, "_now", lambda: int(time.time()) + later)
        return http_api.answer(event, deployment)


def enroll(candidate: Candidate, deployment: Deployment, *, later: int = 0) -> dict[str, Any]:
    """Answer a candidate's CSR."""
    credentials = (candidate.name, candidate.token)
    return post("/.well-known/est/simpleenroll", candidate.csr, credentials, deployment, later=later)
