"""Several sources that answer slowly, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

# So often a thread looks whether anybody still wants what it has, and the reader lets Ctrl-C through.
_LOOK_SECONDS = 0.2


class _End:
    """What a thread says last: how its source ended."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def merged(*sources: Callable[[], Iterator[T]]) -> Iterator[T]:
    """What all the sources give, each read by a thread of its own, in the order in which it comes.

    No source is more than two ahead of the reader, so memory is bounded by what a source gives at once. What a source
    raises is raised here, and ends the others.
    """
    held: Queue[T | _End] = Queue(maxsize=len(sources))
    unwanted = Event()

    def hand_over(what: T | _End) -> bool:
        while not unwanted.is_set():
            try:
                held.put(what, timeout=_LOOK_SECONDS)
            except Full:
                continue
            return True
        return False

    def read(source: Callable[[], Iterator[T]]) -> None:
        try:
            for each in source():
                if not hand_over(each):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again, where it is waited for
            hand_over(_End(error))
        else:
            hand_over(_End())

    for source in sources:
        Thread(target=read, args=(source,), daemon=True).start()
    running = len(sources)
    try:
        while running:
            try:
                each = held.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
            if not isinstance(each, _End):
                yield each
                continue
            if each.error is not None:
                raise each.error
            running -= 1
    finally:
        unwanted.set()
