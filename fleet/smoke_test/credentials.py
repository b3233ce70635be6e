"""AWS credentials for a device, where the setting ``credentials`` gives them.

AWS IoT Core Developer Guide, "Authorizing direct calls to AWS services using AWS IoT Core credential provider".
"""

from __future__ import annotations

import json
import os
from typing import Any

from fleet.errors import Unreachable
from fleet.https import HttpsSession, Reply
from fleet.smoke_test.connections import ConnectionRefused
from fleet.smoke_test.device import PREFIX
from fleet.smoke_test.report import Report, StepFailed
from fleet.smoke_test.settling import until_settled
from fleet.smoke_test.steps import Enrolled

_QUESTIONS = ("credentialsAnswer", "credentialsInAnotherName")


def ask_for_credentials(enrolled: Enrolled, report: Report) -> None:
    """A step of its own: where the setting is on, devices rely on the answer. No credential is in the report."""
    provider = enrolled.configuration.get("credentials")
    if provider is None:
        for question in _QUESTIONS:
            report.leave_open(question, "the setting credentials is not set")
        return
    with report.step("credentials") as step:
        answer = until_settled(lambda: _given(_ask(enrolled, provider, enrolled.device.name)))
        report.observe("credentialsAnswer", answer)
        step.detail = answer
    report.ask("credentialsInAnotherName", lambda: _shown(_ask(enrolled, provider, f"{PREFIX}another")))


def _ask(enrolled: Enrolled, provider: dict[str, Any], name: str) -> Reply | str:
    host = os.environ.get("IOT_CREDENTIAL_ENDPOINT") or provider["endpoint"]
    try:
        return HttpsSession().send(
            "GET",
            f"https://{host}/role-aliases/{provider['roleAlias']}/credentials",
            cert=enrolled.files,
            verify=enrolled.endpoint.roots,
            headers={"x-amzn-iot-thingname": name},
        )
    except Unreachable as error:
        return f"no answer: {error.cause}"


def _given(reply: Reply | str) -> str:
    if isinstance(reply, str):
        raise ConnectionRefused(reply)
    shown = _shown(reply)
    if reply.status_code != 200 or "until" not in shown:
        raise StepFailed(shown)
    return shown


def _shown(reply: Reply | str) -> str:
    """The status, and what is no secret: when credentials end, or why there are none."""
    if isinstance(reply, str):
        return reply
    try:
        said = json.loads(reply.content)
        expires = said["credentials"]["expiration"] if reply.status_code == 200 else None
        words = f"until {expires}" if expires else f"{said['message']}"
    except (ValueError, LookupError, TypeError):
        words = "and nothing that is known here"
    return f"HTTP {reply.status_code} {words}"[:300]
