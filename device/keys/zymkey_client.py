"""The vendor's module ``zymkey`` and its client, of which a process has one; opened again when it has died.

The module makes its client when it is imported, once: a program that starts before the Zymkey's daemon (zkifc) would
never get one, and a client that has died stays dead. It reports by AssertionError("bad return code -N"), where N looks
like an errno; which codes a dead client gives is not documented.
"""

import errno
import os
import re
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

from ..cures import pip_install
from ..errors import HsmNotAnswering, LibraryUnusable
from .device_key import PAUSES

INSTALL_HOST_SOFTWARE = "curl -G https://s3.amazonaws.com/zk-sw-repo/install_zk_sw.sh | sudo bash"
CHECK_HARDWARE = (
    "check that the Zymkey is on the header and bound, that i2c is on (sudo raspi-config), and that its service runs"
    " (systemctl status zkifc)"
)

# The bus was busy for once; the client is as good as before.
_BUS = (errno.ETIMEDOUT, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EINTR)
# Another try cannot help.
_FINAL = (errno.EACCES, errno.EPERM, errno.ENOSYS)

Result = TypeVar("Result")


class ZymkeyClient:
    """The client of the vendor's module. Each operation is tried three times at most, and may be repeated safely."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def do(self, operation: Callable[[Any], Result]) -> Result:
        """What ``operation`` returns for the vendor's client.

        Raises:
            AssertionError: the vendor's, with the return code of the last try.
        """
        for pause in PAUSES:
            try:
                return operation(self._live())
            except AssertionError as error:
                code = return_code(error)
                if code in _FINAL:
                    raise
                if code in _BUS:
                    time.sleep(pause)
                if code not in _BUS or pause == PAUSES[-1]:
                    self._open_again()
                if code == errno.EINVAL:
                    # There is no such slot, most likely: to be asked once more of a new client, and no longer.
                    break
        return operation(self._live())

    def open(self) -> None:
        """Make sure that there is a client.

        Raises:
            AssertionError: no Zymkey answers.
        """
        self._live()

    def _live(self) -> Any:
        if self._module.client is None:
            with _quiet_destructor():
                self._module.client = self._module.Zymkey()
        return self._module.client

    def _open_again(self) -> None:
        """Drop the client, so that the next try opens a new one. The vendor's destructor closes the old one."""
        with _quiet_destructor():
            self._module.client = None


def open_client() -> ZymkeyClient:
    """The client of this process.

    Raises:
        LibraryUnusable: the vendor's module or its library cannot be used.
        HsmNotAnswering: no Zymkey answers.
    """
    client = ZymkeyClient(_module())
    try:
        client.open()
    except AssertionError as error:
        if return_code(error) == errno.EACCES:
            raise HsmNotAnswering(
                "this user may not use the Zymkey.",
                cure="run it with sudo; or add the user to the groups of the bus: sudo usermod -aG i2c,gpio USER",
            ) from None
        raise HsmNotAnswering(
            f"the library is installed, but no Zymkey answers: {meaning(error)}.", cure=CHECK_HARDWARE
        ) from None
    return client


def _module() -> Any:
    try:
        with _distutils(), _quiet_destructor():
            import zymkey
    except ModuleNotFoundError as missing:
        raise LibraryUnusable(
            f"the vendor's Python module cannot be imported: the module {missing.name!r} is missing.",
            cure=f"{pip_install('zku')}; or try it without hardware: --key file:",
        ) from None
    except Exception as error:
        # ZymkeyLibraryError, by its name: its module could not be imported either.
        if type(error).__name__ == "ZymkeyLibraryError":
            raise LibraryUnusable(
                f"the Zymkey's library is not installed: {error}.",
                cure=f"install Zymbit's host software: {INSTALL_HOST_SOFTWARE}",
            ) from None
        # OSError: the library is for another processor. AttributeError: it is older than the module.
        if isinstance(error, OSError | AttributeError):
            raise LibraryUnusable(
                f"the Zymkey's library does not fit this system or this module: {error}.",
                cure=f"install Zymbit's host software again: {INSTALL_HOST_SOFTWARE}",
            ) from None
        if isinstance(error, AssertionError):
            raise HsmNotAnswering(f"no Zymkey answers: {meaning(error)}.", cure=CHECK_HARDWARE) from None
        raise
    return zymkey


@contextmanager
def _distutils() -> Iterator[None]:
    """Give the vendor's module, at its import, the one function of distutils that it calls.

    Python 3.12 has no distutils; where setuptools brings it back or replaces it, importing it costs more than all the
    rest of a bootstrap. The module only asks it for a folder to look for the library in, beside /usr/lib.
    """
    if "distutils" in sys.modules:
        yield
        return
    stand_in, its_sysconfig = ModuleType("distutils"), ModuleType("distutils.sysconfig")
    its_sysconfig.get_python_lib = lambda: sysconfig.get_path("purelib")  # type: ignore[attr-defined]
    stand_in.sysconfig = its_sysconfig  # type: ignore[attr-defined]
    sys.modules.update({"distutils": stand_in, "distutils.sysconfig": its_sysconfig})
    try:
        yield
    finally:
        del sys.modules["distutils"], sys.modules["distutils.sysconfig"]


def return_code(error: AssertionError) -> int:
    """N of "bad return code -N", which looks like an errno; 0 when there is none."""
    match = re.search(r"-(\d+)", str(error))
    return int(match.group(1)) if match else 0


def meaning(error: AssertionError) -> str:
    """The code in words."""
    number = return_code(error)
    name = errno.errorcode.get(number)
    return f"{os.strerror(number)} ({name}, return code -{number})" if name else str(error)


@contextmanager
def _quiet_destructor() -> Iterator[None]:
    """Keep the vendor's ``__del__`` from printing a stack trace when there was no device to open."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
