"""``zymkey:`` is a key in a Zymkey, HSM4, HSM6 or SCM, used through the vendor's own Python module.

The module is called ``zymkey`` and its distribution ``zku`` (https://docs.zymbit.com). It has its own ways to report a
fault: an import that fails, a ``client`` that is None, an AssertionError with a negative errno. Each of them becomes an
error with cause and cure here.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ..errors import HsmNotAnswering, KeyUnavailable, LibraryUnusable, SlotUnusable, UsageError
from .command_line import CommandLineKey, zymkey_on_command_line
from .device_key import DeviceKey
from .zymkey_client import CHECK_HARDWARE, INSTALL_HOST_SOFTWARE, ZymkeyClient, meaning, open_client, return_code

COORDINATE_SIZE = 32
FIRST_GENERATED_SLOT = 16
FACTORY_SLOTS = "Zymkey 4 and HSM4 have slots 0, 1 and 2; HSM6 and SCM have slots 0 to 11, and generated keys from 16"
OTHER_SLOT = f"use another slot: --key zymkey:slot=N. {FACTORY_SLOTS}"


class ZymkeyKey(DeviceKey):
    """The P-256 key in one slot."""

    kind = "zymkey"

    def __init__(self, client: ZymkeyClient, slot: int, public_key: ec.EllipticCurvePublicKey) -> None:
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
            raw = bytes(self._client.do(lambda zymkey: zymkey.sign_digest(_Digest(digest), slot=self.slot)))
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
                "model": self._client.do(lambda zymkey: zymkey.get_model_number()),
                "serial": self._client.do(lambda zymkey: zymkey.get_serial_number()),
                "firmware": self._client.do(lambda zymkey: zymkey.get_firmware_version()),
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
    client = open_client()
    with _explained("give its public key", slot):
        raw = bytes(client.do(lambda zymkey: zymkey.get_public_key(slot)))
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


@contextmanager
def _explained(action: str, slot: int) -> Iterator[None]:
    """Turn the vendor's AssertionError("bad return code -N") into cause and cure. N looks like an errno.

    Raises:
        KeyUnavailable: the HSM did not do ``action``.
    """
    try:
        yield
    except AssertionError as error:
        number = return_code(error)
        kind: type[KeyUnavailable] = HsmNotAnswering
        what = meaning(error)
        if number == errno.EINVAL:
            kind, what = SlotUnusable, f"it seems that there is no such slot; {what}"
            cure = OTHER_SLOT
        elif number == errno.ETIMEDOUT:
            cure = f"power the Pi off and on, since i2c timed out; then {CHECK_HARDWARE}"
        else:
            cure = f"{CHECK_HARDWARE}; then check the slot: {FACTORY_SLOTS}"
        raise kind(f"the Zymkey did not {action} (slot {slot}): {what}.", cure=cure) from None
    except AttributeError as error:
        # The module silently leaves out the functions that an older library does not have.
        raise LibraryUnusable(
            f"the Zymkey's library is older than the Python module: {error}.",
            cure=f"install Zymbit's host software again: {INSTALL_HOST_SOFTWARE}",
        ) from None
