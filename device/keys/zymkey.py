"""``zymkey:`` is a key in a Zymkey, HSM4, HSM6 or SCM, used through the vendor's own Python module.

The module is called ``zymkey`` and its distribution ``zku`` (https://docs.zymbit.com). It has its own ways to report a
fault: an import that fails, a ``client`` that is None, an AssertionError with a negative errno. Each of them becomes an
error with cause and cure here.
"""

import errno
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ..errors import HsmNotAnswering, KeyUnavailable, LibraryUnusable, SlotUnusable, UsageError
from .command_line import CommandLineKey, zymkey_on_command_line
from .device_key import DeviceKey

COORDINATE_SIZE = 32
FIRST_GENERATED_SLOT = 16
FACTORY_SLOTS = "Zymkey 4 and HSM4 have slots 0, 1 and 2; HSM6 and SCM have slots 0 to 11, and generated keys from 16"
OTHER_SLOT = f"use another slot: --key zymkey:slot=N. {FACTORY_SLOTS}"
INSTALL_HOST_SOFTWARE = "curl -G https://s3.amazonaws.com/zk-sw-repo/install_zk_sw.sh | sudo bash"
CHECK_HARDWARE = (
    "check that the Zymkey is on the header and bound, that i2c is on (sudo raspi-config), and that its service runs"
    " (systemctl status zkifc)"
)


class ZymkeyKey(DeviceKey):
    """The P-256 key in one slot."""

    kind = "zymkey"

    def __init__(self, client: Any, slot: int, public_key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(f"zymkey:slot={slot}", public_key)
        self._client = client
        self.slot = slot
        if slot >= FIRST_GENERATED_SLOT:
            self.warning = (
                f"slot {slot} holds a generated key, and SCM firmware 01.02.02 loses generated keys at a reboot: update"
                " the firmware, or use a factory slot, 0 to 11."
            )

    def sign_digest(self, digest: bytes) -> bytes:
        # The vendor's sign() decodes its argument as UTF-8 and fails on DER. sign_digest() signs 32 bytes as they are,
        # and returns r and s, big-endian; X.509 and TLS want them in DER.
        with _explained("sign", self.slot):
            raw = bytes(self._client.sign_digest(_Digest(digest), slot=self.slot))
        if len(raw) != 2 * COORDINATE_SIZE:
            raise SlotUnusable(
                f"the Zymkey's signature has {len(raw)} bytes instead of 64: slot {self.slot} has no P-256 key.",
                cure=OTHER_SLOT,
            )
        r, s = (int.from_bytes(half, "big") for half in (raw[:COORDINATE_SIZE], raw[COORDINATE_SIZE:]))
        return encode_dss_signature(r, s)

    def details(self) -> dict[str, str | int]:
        with _explained("tell its model", self.slot):
            return {
                "model": self._client.get_model_number(),
                "serial": self._client.get_serial_number(),
                "firmware": self._client.get_firmware_version(),
                "slot": self.slot,
            }

    def title(self) -> str:
        return f"Zymkey slot {self.slot}"

    def by_hand(self) -> CommandLineKey:
        return zymkey_on_command_line(self.slot)


class _Digest:
    """The vendor's module expects an object of hashlib, and only calls digest() on it."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def digest(self) -> bytes:
        return self._digest


def open_zymkey(options: str) -> ZymkeyKey:
    """Open the slot that ``options`` (the URI after ``zymkey:``) names; slot 0 when it names none.

    Raises:
        UsageError: the URI is malformed.
        KeyUnavailable: there is no library, no HSM, or no P-256 key in the slot.
    """
    slot = _slot(options)
    client = _client()
    with _explained("give its public key", slot):
        raw = bytes(client.get_public_key(slot))
    return ZymkeyKey(client, slot, _point(raw, slot))


def _slot(options: str) -> int:
    match = re.fullmatch(r"(?:slot=(\d{1,3}))?", options)
    if not match:
        raise UsageError(f"the key zymkey:{options} is not understood.", cure="--key zymkey: or --key zymkey:slot=1")
    return int(match.group(1) or 0)


def _point(raw: bytes, slot: int) -> ec.EllipticCurvePublicKey:
    """The public key from x and y, big-endian, 64 bytes.

    Raises:
        SlotUnusable: the key is of another kind.
    """
    wrong = None
    if len(raw) != 2 * COORDINATE_SIZE:
        wrong = "an ed25519 or X25519 key" if len(raw) == COORDINATE_SIZE else f"a key of {len(raw)} bytes"
    else:
        x, y = (int.from_bytes(half, "big") for half in (raw[:COORDINATE_SIZE], raw[COORDINATE_SIZE:]))
        try:
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        except ValueError:
            wrong = "a key on another curve than P-256 (secp256k1, most likely)"
    raise SlotUnusable(
        f"slot {slot} of the Zymkey holds {wrong}, which AWS IoT does not accept.",
        cure=f"use a slot with a P-256 key: --key zymkey:slot=N. {FACTORY_SLOTS}",
    )


def _client() -> Any:
    """The vendor's client.

    Raises:
        LibraryUnusable: the vendor's module or its library cannot be used.
        HsmNotAnswering: no Zymkey answers.
    """
    try:
        with _distutils(), _quiet_destructor():
            import zymkey
    except ModuleNotFoundError as missing:
        raise LibraryUnusable(
            f"the vendor's Python module cannot be imported: the module {missing.name!r} is missing.",
            cure="pip install zku; or try it without hardware: --key file:",
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
        raise
    if zymkey.client is None:
        raise _not_opened(zymkey)
    return zymkey.client


def _not_opened(module: Any) -> HsmNotAnswering:
    """Open the device once more: at the import, the module has lost the return code."""
    with _quiet_destructor():
        try:
            module.Zymkey()
        except AssertionError as error:
            number = _return_code(error)
            if number == errno.EACCES:
                return HsmNotAnswering(
                    "this user may not use the Zymkey.",
                    cure="run it with sudo; or add the user to the groups of the bus: sudo usermod -aG i2c,gpio USER",
                )
            return HsmNotAnswering(
                f"the library is installed, but no Zymkey answers: {_meaning(error)}.", cure=CHECK_HARDWARE
            )
    return HsmNotAnswering("the Zymkey did not answer at first, but answers now.", cure="the same command again")


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


@contextmanager
def _explained(action: str, slot: int) -> Iterator[None]:
    """Turn the vendor's AssertionError("bad return code -N") into cause and cure. N looks like an errno.

    Raises:
        KeyUnavailable: the HSM did not do ``action``.
    """
    try:
        yield
    except AssertionError as error:
        number = _return_code(error)
        kind: type[KeyUnavailable] = HsmNotAnswering
        meaning = _meaning(error)
        if number == errno.EINVAL:
            kind, meaning = SlotUnusable, f"it seems that there is no such slot; {meaning}"
            cure = OTHER_SLOT
        elif number == errno.ETIMEDOUT:
            cure = f"power the Pi off and on, since i2c timed out; then {CHECK_HARDWARE}"
        else:
            cure = f"{CHECK_HARDWARE}; then check the slot: {FACTORY_SLOTS}"
        raise kind(f"the Zymkey did not {action} (slot {slot}): {meaning}.", cure=cure) from None
    except AttributeError as error:
        # The module silently leaves out the functions that an older library does not have.
        raise LibraryUnusable(
            f"the Zymkey's library is older than the Python module: {error}.",
            cure=f"install Zymbit's host software again: {INSTALL_HOST_SOFTWARE}",
        ) from None


def _return_code(error: AssertionError) -> int:
    """N of "bad return code -N", which looks like an errno; 0 when there is none."""
    match = re.search(r"-(\d+)", str(error))
    return int(match.group(1)) if match else 0


def _meaning(error: AssertionError) -> str:
    number = _return_code(error)
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
