"""A call with a limit on all of its time, where what it calls limits single waits at most."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class TimeIsUp(Exception):
    """The call has not ended. It goes on in its thread, which does not keep the command from ending."""


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """What ``call`` returns or raises, if it ends within ``seconds``.

    Raises:
        TimeIsUp: it does not.
    """
    returned: list[Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread of the command
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if returned:
        return returned[0]
    raise TimeIsUp
