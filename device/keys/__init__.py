"""Keys, chosen by URI. One kind a file, imported when it is asked for.

zymkey:                the Zymkey's slot 0, through the vendor's module (the default)
zymkey:slot=1          another slot
file:                  a software key in the state folder
file:/path/to/key.pem  a software key elsewhere
"""

from pathlib import Path

from ..errors import UsageError
from .device_key import DeviceKey, fingerprint

__all__ = ["DeviceKey", "fingerprint", "open_key"]

KINDS = ("zymkey", "pkcs11", "engine", "file")


def open_key(uri: str, *, state: Path, create: bool = False) -> DeviceKey:
    """Open the key that `uri` names.

    `state` is the state folder, where a bare `file:` lives. `create` lets a missing software key be made; a
    key in hardware is never made or replaced.

    Raises UsageError for a URI that is not one, KeyUnavailable when the key cannot be used.
    """
    kind, colon, rest = uri.partition(":")
    if colon and kind == "zymkey":
        from .zymkey import open_zymkey

        return open_zymkey(rest)
    if colon and kind == "pkcs11":
        from .pkcs11 import open_pkcs11

        return open_pkcs11(rest)
    if colon and kind == "engine":
        from .engine import EngineKey

        return EngineKey(uri)
    if colon and kind == "file":
        from .file import open_file

        return open_file(Path(rest) if rest else state / "key.pem", create=create)
    raise UsageError(
        f"the key {uri!r} is of no kind that there is.",
        cure="--key with one of " + ", ".join(f"{kind}:" for kind in KINDS),
    )
