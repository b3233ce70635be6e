"""Keys, chosen by URI. Each kind has one file, which is imported when it is asked for.

zymkey:                the Zymkey's slot 0, through the vendor's module (the default)
zymkey:slot=1          another slot
pkcs11:token=…         a key on a PKCS#11 token
engine:zymkey_ssl      a key behind an OpenSSL engine
file:                  a software key in the state folder
file:/path/to/key.pem  a software key elsewhere
"""

from pathlib import Path

from ..errors import UsageError
from ..settings import Settings
from .device_key import DeviceKey, fingerprint

__all__ = ["DeviceKey", "fingerprint", "open_key"]

KINDS = ("zymkey", "pkcs11", "engine", "file")


def open_key(settings: Settings, *, create: bool = False) -> DeviceKey:
    """Open the key that ``settings.key`` names.

    Args:
        create: make a software key when its file is missing. A key in hardware is never made or replaced.

    Raises:
        UsageError: the URI is none.
        KeyUnavailable: the key cannot be used.
    """
    kind, colon, rest = settings.key.partition(":")
    if colon and kind == "zymkey":
        from .zymkey import open_zymkey

        return open_zymkey(rest)
    if colon and kind == "pkcs11":
        from .pkcs11 import open_pkcs11

        return open_pkcs11(rest)
    if colon and kind == "engine":
        from .engine import EngineKey

        return EngineKey(settings.key)
    if colon and kind == "file":
        from .file import open_file

        return open_file(Path(rest) if rest else settings.state / "key.pem", create=create)
    raise UsageError(
        f"the key {settings.key!r} is of an unknown kind.",
        cure="--key with one of " + ", ".join(f"{kind}:" for kind in KINDS),
    )
