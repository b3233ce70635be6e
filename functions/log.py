"""The one logger. Each line is JSON and carries the device's name and its key's fingerprint, once they are known."""

import json
from functools import partial

from aws_lambda_powertools import Logger

_LONGEST_VALUE = 500

# ASCII alone: whatever a stranger has put into a name or a path, a terminal that shows the log does not obey it.
log = Logger(json_serializer=partial(json.dumps, default=str, ensure_ascii=True))


def about(*, device: str | None = None, fingerprint: str | None = None) -> None:
    """Say which device and key the lines that follow are about."""
    known = {"device": device, "fingerprint": fingerprint}
    log.append_keys(**{key: value for key, value in known.items() if value is not None})


def bounded(text: str) -> str:
    """A text that somebody else may have made longer than a log should hold."""
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
