"""The one logger. Each line is JSON and carries the device's name and its key's fingerprint, once they are known.

The members have the names that AWS's own logger for functions (Powertools) gives them, since the runbook's queries ask
for these. That package itself takes longer to import than all that is written here takes to run.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

_LONGEST_VALUE = 500

_Answer = TypeVar("_Answer")


class Log:
    """Writes lines to standard output, which Lambda hands to CloudWatch Logs. There is no level below which none is.

    Attributes:
        stream: where the lines go instead, in tests.
    """

    def __init__(self) -> None:
        self.stream: TextIO | None = None
        self._keys: dict[str, Any] = {}
        self._is_cold = True

    def info(self, message: str, **members: Any) -> None:
        self._write("INFO", message, members)

    def warning(self, message: str, **members: Any) -> None:
        self._write("WARNING", message, members)

    def error(self, message: str, **members: Any) -> None:
        self._write("ERROR", message, members)

    def append_keys(self, **members: Any) -> None:
        """Members of every line until ``clear_state``."""
        self._keys |= members

    def clear_state(self) -> None:
        self._keys = {}

    def each_request(
        self, handler: Callable[[dict[str, Any], Any], _Answer]
    ) -> Callable[[dict[str, Any], Any], _Answer]:
        """Decorate what Lambda calls: the lines of a request say which one it is, and nothing of the one before."""

        @functools.wraps(handler)
        def with_request(event: dict[str, Any], context: Any) -> _Answer:
            self._keys = {
                "cold_start": self._is_cold,
                "function_name": context.function_name,
                "function_memory_size": context.memory_limit_in_mb,
                "function_arn": context.invoked_function_arn,
                "function_request_id": context.aws_request_id,
            }
            self._is_cold = False
            return handler(event, context)

        return with_request

    def _write(self, level: str, message: str, members: dict[str, Any]) -> None:
        code, now = sys._getframe(2), time.time()
        trace = os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=")
        line = {
            "level": level,
            "location": f"{code.f_code.co_name}:{code.f_lineno}",
            "message": message,
            "timestamp": time.strftime(f"%Y-%m-%d %H:%M:%S,{int(now * 1000) % 1000:03d}%z", time.localtime(now)),
            "service": os.environ.get("LOG_SERVICE"),
            **self._keys,
            **members,
            "xray_trace_id": trace or None,
        }
        known = {name: value for name, value in line.items() if value is not None}
        # ASCII alone: whatever a stranger has put into a name or a path, a terminal that shows the log does not obey
        # it. One write a line, so that no line of another thread comes between.
        text = json.dumps(known, default=str, ensure_ascii=True) + "\n"
        stream = self.stream or sys.stdout
        stream.write(text)
        stream.flush()


log = Log()


def about(*, device: str | None = None, fingerprint: str | None = None) -> None:
    """Say which device and key the lines that follow are about."""
    known = {"device": device, "fingerprint": fingerprint}
    log.append_keys(**{key: value for key, value in known.items() if value is not None})


def bounded(text: str) -> str:
    """A text that somebody else may have made longer than a log should hold."""
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
