"""PKCS#11 URIs (RFC 7512) that name one key.

pkcs11:token=fleet;object=device?module-path=/usr/lib/libzk_pkcs11.so&pin-source=file:/etc/zymkey-iot/pin
"""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes

from ..errors import UsageError

MODULES = (
    "/usr/lib/libzk_pkcs11.so",
    "/usr/lib/pkcs11/libzk_pkcs11.so",
    "/usr/lib/softhsm/libsofthsm2.so",
)
"""The modules to look for when the URI names none: Zymbit's, then SoftHSM 2's."""

_TEXT = ("token", "object", "serial", "manufacturer", "model")


@dataclass(frozen=True, kw_only=True)
class Pkcs11Uri:
    """The attributes of the URI; None where it does not have one."""

    token: str | None = None
    object: str | None = None
    id: bytes | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    slot_id: int | None = None
    module_path: str | None = None
    pin_source: Path | None = None

    def __str__(self) -> str:
        path = [f"{name}={quote(value)}" for name in _TEXT if (value := getattr(self, name)) is not None]
        if self.id is not None:
            path.append("id=" + "".join(f"%{byte:02x}" for byte in self.id))
        if self.slot_id is not None:
            path.append(f"slot-id={self.slot_id}")
        query = []
        if self.module_path:
            query.append(f"module-path={quote(self.module_path)}")
        if self.pin_source:
            query.append(f"pin-source=file:{quote(str(self.pin_source))}")
        return "pkcs11:" + ";".join(path) + ("?" + "&".join(query) if query else "")

    def for_engine(self, pin_source: Path | None) -> str:
        """The URI for the OpenSSL engine, which takes the module from an environment variable."""
        return str(replace(self, module_path=None, pin_source=pin_source, slot_id=None))

    def module(self) -> str:
        """The path of the module.

        Raises:
            UsageError: the URI names none, and none is found.
        """
        if self.module_path:
            return self.module_path
        for path in MODULES:
            if Path(path).exists():
                return path
        raise UsageError(
            "the key's URI names no PKCS#11 module, and no module is in a usual place.",
            cure="add ?module-path=/path/to/module.so to the key's URI",
        )


def parse(rest: str) -> Pkcs11Uri:
    """Parse the URI; ``rest`` is the part after ``pkcs11:``.

    Raises:
        UsageError: the URI is malformed. The error names the attribute.
    """
    path, _, query = rest.partition("?")
    known: dict[str, object] = {}
    for part in filter(None, path.split(";")):
        name, equals, value = part.partition("=")
        if not equals:
            raise _wrong(f"{part!r} has no value")
        if name in _TEXT:
            known[name] = unquote(value)
        elif name == "id":
            known["id"] = unquote_to_bytes(value)
        elif name == "slot-id" and value.isascii() and value.isdigit() and len(value) < 19:
            known["slot_id"] = int(value)
        elif name == "type" and value == "private":
            continue
        else:
            raise _wrong(f"the attribute {name!r} does not name a private key")
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name == "module-path":
            known["module_path"] = unquote(value)
        elif name == "pin-source":
            known["pin_source"] = Path(unquote(value).removeprefix("file:"))
        elif name == "pin-value":
            # Not from the environment either: device.json would keep it.
            raise UsageError(
                "a PIN must not be in a key's URI, because other users see it in the process list.",
                cure="write the PIN into a file (mode 0600) and use pin-source=file:/path, or set ZYMKEY_IOT_PIN",
            )
        else:
            raise _wrong(f"the attribute {name!r} is not supported")
    return Pkcs11Uri(**known)  # type: ignore[arg-type]


def _wrong(what: str) -> UsageError:
    return UsageError(
        f"the PKCS#11 URI is wrong: {what}.",
        cure="write it like --key 'pkcs11:token=fleet;object=device?pin-source=file:/etc/zymkey-iot/pin'",
    )
