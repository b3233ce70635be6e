"""What the operator's commands call of AWS: counted, broken, slowed down."""

import threading
from collections import Counter

import pytest

from fleet.aws_session import AwsSession


class Calls:
    """What the commands' clients send to AWS, each try counted; `broken` is asked for another reply to it."""

    def __init__(self):
        self.tries = Counter()
        self.broken = lambda operation, request: None
        self._lock = threading.Lock()

    def sent(self, request, event_name, **_):
        operation = event_name.rsplit(".", 1)[1]
        with self._lock:
            self.tries[operation] += 1
        return self.broken(operation, request)


@pytest.fixture
def calls(monkeypatch):
    calls, made = Calls(), AwsSession.client

    def client(self, service):
        client = made(self, service)
        client.meta.events.register("before-send", calls.sent)
        return client

    monkeypatch.setattr(AwsSession, "client", client)
    return calls


@pytest.fixture
def paces(monkeypatch):
    """What paces were kept: calls in a second, and how many were waited for."""
    paces = []

    class Counted:
        def __init__(self, per_second):
            self.per_second, self.waits, self._lock = per_second, 0, threading.Lock()
            paces.append(self)

        def wait(self):
            with self._lock:
                self.waits += 1

    monkeypatch.setattr("fleet.pace.Pace", Counted)
    return paces
