"""AWS IoT knows a new certificate, policy or attachment in its own time, and not everywhere at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fleet.smoke_test.connections import ConnectionRefused, TopicRefused
from fleet.smoke_test.report import StepFailed

SETTLES_SECONDS = 60
PAUSE_SECONDS = 2.0

_Result = TypeVar("_Result")


def until_settled(attempt: Callable[[], _Result]) -> _Result:
    """Try until it succeeds or the time is over. Over MQTT a refusal ends the connection, so each try makes a new one.

    Raises:
        StepFailed: the last try's reason.
    """
    deadline = time.monotonic() + SETTLES_SECONDS
    while True:
        try:
            return attempt()
        except (ConnectionRefused, TopicRefused, TimeoutError, StepFailed) as error:
            if time.monotonic() > deadline:
                raise StepFailed(str(error)) from None
            time.sleep(PAUSE_SECONDS)
