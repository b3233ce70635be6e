"""How far a long command is, for a person at a terminal. Nothing is shown in the first second, nor into a pipe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_AFTER_SECONDS = 1.0


class Progress:
    """A bar on standard error while its block runs.

    Args:
        what: what is counted, such as "devices".
        total: how many there are, or None where nobody knows.
        wanted: False for a program's sake.
    """

    def __init__(self, what: str, *, total: int | None, wanted: bool = True) -> None:
        self._what = what
        self._total = total
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._timer: threading.Timer | None = None
        self._done = self._failed = 0
        self._ended = False

    def __enter__(self) -> Progress:
        if self._wanted:
            self._timer = threading.Timer(_AFTER_SECONDS, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._ended = True
            if self._bar is not None:
                self._bar.stop()
                self._bar = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()  # it may be loading the bar: not while this process ends

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        """Count one more, or so many."""
        self._done += count
        self._failed += failed
        bar = self._bar
        if bar is not None:
            bar.update(bar.task_ids[0], completed=self._done, failed=self._said_of_failed())

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while the block prints on the same terminal."""
        with self._lock:
            if self._bar is None:
                yield
                return
            self._bar.stop()
            try:
                yield
            finally:
                self._bar.start()

    def _said_of_failed(self) -> str:
        return f"{self._failed} failed" if self._failed else ""

    def _show(self) -> None:
        try:
            # Here: it takes a tenth of a second to load, and most commands are over by now.
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ImportError:  # an installation from before this needed it: the command does without
            return
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}", markup=False),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with self._lock:
            if self._ended:
                return
            bar.add_task(self._what, total=self._total, completed=self._done, failed=self._said_of_failed())
            bar.start()
            self._bar = bar
