"""What a PKCS#11 token may answer in place of a signature: what is tried again, and what is told."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..errors import HsmNotAnswering, KeyUnavailable
from .device_key import PAUSES

# The errors of python-pkcs11 that another session, or another moment, may not have. None of them is about the PIN, of
# which another try could be one too many.
_PASSING = (
    *("SessionClosed", "SessionHandleInvalid", "ObjectHandleInvalid", "KeyHandleInvalid", "UserNotLoggedIn"),
    *("DeviceRemoved", "TokenNotPresent", "DeviceError", "FunctionFailed", "GeneralError"),
)

Result = TypeVar("Result")


def patiently(operation: Callable[[], Result], recover: Callable[[], None] = lambda: None) -> Result:
    """Three tries at most: a token may be busy for a moment, or gone and back. ``recover`` runs after each failure."""
    import pkcs11

    for pause in PAUSES:
        try:
            return operation()
        except tuple(getattr(pkcs11, name) for name in _PASSING):
            time.sleep(pause)
            recover()
    return operation()


@contextmanager
def explained(token: str) -> Iterator[None]:
    """Turn the errors of python-pkcs11 into cause and cure.

    Raises:
        KeyUnavailable: in place of them.
    """
    import pkcs11

    try:
        yield
    except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid):
        raise KeyUnavailable(
            f"the PIN of the token {token} is wrong.",
            cure="check the PIN before another try: a few wrong PINs lock the token",
        ) from None
    except pkcs11.PinLocked:
        raise KeyUnavailable(
            f"the token {token} is locked after too many wrong PINs.",
            cure="unlock the token with its SO PIN: pkcs11-tool",
        ) from None
    except (pkcs11.TokenNotPresent, pkcs11.DeviceRemoved):
        raise HsmNotAnswering(f"the token {token} was removed.", cure="put the token back") from None
    except pkcs11.PKCS11Error as error:
        raise KeyUnavailable(
            f"the token {token} failed: {type(error).__name__}.",
            cure="test the token, which shows more: pkcs11-tool --test --login",
        ) from None
