"""The same work for each of many, some at a time, in threads; what comes of each is told in the order of the input.

The work for one must be such that doing it twice is doing it once: it is done again after AWS gave no answer, and by
the same command after this one was interrupted.
"""

from __future__ import annotations

import contextvars
import queue
import random
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fleet.aws_session import CONNECTIONS
from fleet.errors import (
    FleetError,
    Interrupted,
    NoCredentials,
    NoDeployment,
    NotPermitted,
    SdkFailed,
    Unreachable,
    WrongClock,
)
from fleet.failures import explained

Subject = TypeVar("Subject")
Result = TypeVar("Result")

# Whatever they say of one, they would say of all.
_OF_ALL = (NoCredentials, NoDeployment, NotPermitted, SdkFailed, WrongClock)
# Seconds before the second and the third try, each made shorter or longer by up to half: the AWS SDK has tried some
# times itself before each of them.
_PAUSES = (1.0, 4.0)
# Tries in a row, of whatever subject, that AWS did not answer: it will not answer the others either.
_MOST_UNANSWERED = 2 * CONNECTIONS
# How many are in work, waiting, or done before an earlier one: what bounds the memory. One that takes long holds up
# the others only when so many came after it.
_WINDOW = 16 * CONNECTIONS


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Subject, Result]):
    """What came of the work for one: a result, or why there is none."""

    subject: Subject
    result: Result | None = None
    failure: FleetError | None = None


@dataclass
class _Task(Generic[Subject, Result]):
    subject: Subject
    ended: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome[Subject, Result] | None = None  # None at the end: all was stopped before this was done


class SideBySide(Generic[Subject, Result]):
    """Does ``work`` for each subject that it is given, once.

    ``stopped_by`` says, when the outcomes have come to an end, why they did so early: by what failed and would fail for
    all, by what failed in reading the subjects, or by Ctrl-C.
    """

    stopped_by: FleetError | None = None

    def __init__(self, work: Callable[[Subject], Result], *, pauses: Iterable[float] = _PAUSES) -> None:
        """Prepare the work. Any AWS client that it uses must have been made: to make one is not for threads."""
        self._work = work
        self._pauses = tuple(pauses)
        self._tasks: queue.SimpleQueue[_Task[Subject, Result] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._unanswered = 0
        self._defect: BaseException | None = None
        self._reads_input = False

    def outcomes(self, subjects: Iterable[Subject]) -> Iterator[Outcome[Subject, Result]]:
        """Yield the outcome for each, in their order, as soon as it is there. ``subjects`` is read as needed.

        Ctrl-C lets end what has begun, and begins nothing else; the second one leaves at once.

        Raises:
            KeyboardInterrupt: Ctrl-C twice.
            Exception: another than a ``FleetError`` and what becomes one, of ``subjects`` or of the work, after what
                had begun has ended: a defect.
        """
        threads = [_thread(self._work_off) for _ in range(CONNECTIONS)]
        try:
            with self._first_ctrl_c_stops():
                yield from self._in_order(iter(subjects))
        except KeyboardInterrupt:
            self._stop.set()
            threads.clear()  # they do not keep this process from ending
            raise
        finally:
            self._stop.set()
            for _ in threads:
                self._tasks.put(None)
            for thread in threads:
                thread.join()
        if self._defect is not None:
            raise self._defect

    def _in_order(self, subjects: Iterator[Subject]) -> Iterator[Outcome[Subject, Result]]:
        window: deque[_Task[Subject, Result]] = deque()
        is_more = True
        while True:
            while is_more and len(window) < _WINDOW:
                task = self._next(subjects)
                if task is None:
                    is_more = False
                    break
                window.append(task)
                self._tasks.put(task)
                if window[0].ended.is_set():
                    break
            if not window:
                return
            task = window.popleft()
            # Again and again: a signal that another thread was given does not wake this one, whose handler it has.
            while not task.ended.wait(0.2):
                pass
            if task.outcome is not None:
                yield task.outcome

    def _next(self, subjects: Iterator[Subject]) -> _Task[Subject, Result] | None:
        if self._stop.is_set():
            return None
        try:
            self._reads_input = True
            with explained():
                subject = next(subjects, None)
            self._reads_input = False
        except FleetError as failure:  # those that were read are worked for all the same
            self.stopped_by = self.stopped_by or failure
            return None
        except KeyboardInterrupt:
            if not isinstance(self.stopped_by, Interrupted):  # not ours
                raise
            return None
        finally:
            self._reads_input = False
        return None if subject is None else _Task(subject)

    @contextmanager
    def _first_ctrl_c_stops(self) -> Iterator[None]:
        def stop(*_: Any) -> None:
            is_first = not isinstance(self.stopped_by, Interrupted)
            self._stop_all(Interrupted())
            # What waits for input would go on waiting for it.
            if self._reads_input or not is_first:
                raise KeyboardInterrupt

        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if not ours or threading.current_thread() is not threading.main_thread():
            yield
            return
        signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    # In the threads

    def _work_off(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                if not self._stop.is_set():
                    task.outcome = self._outcome(task.subject)
            except BaseException as defect:  # noqa: BLE001 - raised again, in the thread of the command
                self._defect = defect
                self._stop.set()
            finally:
                task.ended.set()

    def _outcome(self, subject: Subject) -> Outcome[Subject, Result] | None:
        """None when all is stopped before this has come to an end."""
        pauses = iter(self._pauses)
        while True:
            try:
                with explained():
                    result = self._work(subject)
            except _OF_ALL as failure:
                self._stop_all(failure)
                return None
            except Unreachable as failure:
                if not self._goes_on_after(failure):
                    return None
                pause = next(pauses, None)
                if pause is None:
                    return Outcome(subject=subject, failure=failure)
                if self._stop.wait(pause * random.uniform(0.5, 1.5)):  # noqa: S311 - no secret
                    return None
            except FleetError as failure:
                self._unanswered = 0
                return Outcome(subject=subject, failure=failure)
            else:
                self._unanswered = 0
                return Outcome(subject=subject, result=result)

    def _goes_on_after(self, failure: Unreachable) -> bool:
        with self._lock:
            self._unanswered += 1
            is_hopeless = self._unanswered >= _MOST_UNANSWERED
        if is_hopeless:
            self._stop_all(failure)
        return not is_hopeless

    def _stop_all(self, reason: FleetError) -> None:
        """The first reason is told, but for a person's: theirs is told always."""
        if self.stopped_by is None or isinstance(reason, Interrupted):
            self.stopped_by = reason
        self._stop.set()


def _thread(work: Callable[[], None]) -> threading.Thread:
    """Start a thread that knows what runs, as ``fleet.roles.running`` has it."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    return thread
