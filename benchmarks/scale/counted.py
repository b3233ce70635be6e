"""Runs one thing in this process, and writes down the AWS calls that it made: ``counted FILE WORD…``.

The words are those of ``zymkey-fleet``, or ``sweep`` or ``daily-audit`` alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from botocore.endpoint import Endpoint

from benchmarks.scale.seeding import FLEET, POLICY, TABLE

calls: Counter[str] = Counter()


def count_calls() -> None:
    """Count each call of any client by service and operation, once however often the SDK tries it."""
    make_request = Endpoint.make_request

    def counted(self: Any, operation_model: Any, request: Any) -> Any:
        calls[f"{operation_model.service_model.service_name}:{operation_model.name}"] += 1
        return make_request(self, operation_model, request)

    Endpoint.make_request = counted  # type: ignore[assignment, method-assign]


def run_command(words: list[str]) -> int:
    from fleet.cli import main

    return main(words)


ENVIRONMENT = {
    "FLEET": FLEET,
    "ISSUER": "aws",
    "LEDGER_TABLE": TABLE,
    "IOT_POLICY": POLICY,
    "CA_CERTIFICATES": "",
    "CERTIFICATE_SUBJECT": "{}",
    "CERTIFICATE_VALIDITY_DAYS": "365",
    "TOPICS": "{}",
    "UNINVITED": "refuse",
}


def run_sweep() -> int:
    """As the function does, without its time limit."""
    from functions.deployment import Deployment
    from functions.superseded import sweep

    sweep(grace_days=7, now=int(time.time()), deployment=Deployment.connect(os.environ | ENVIRONMENT))
    return 0


def run_daily_audit() -> int:
    """As the function does, without its time limit; things are compared, and there is no CA."""
    from functions.audit_run import audit
    from functions.deployment import Deployment

    audit(
        grace_days=7,
        delete_after_days=3650,
        now=int(time.time()),
        deployment=Deployment.connect(os.environ | ENVIRONMENT),
        declared=json.dumps({"policy": "", "authorities": []}),
    )
    return 0


def main() -> int:
    result, *words = sys.argv[1:]
    count_calls()
    functions = {"sweep": run_sweep, "daily-audit": run_daily_audit}
    code = functions[words[0]]() if words[0] in functions else run_command(words)
    Path(result).write_text(json.dumps({"code": code, "calls": dict(calls)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
