"""PKCS#11 URIs (RFC 7512), as far as they name one key.

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
"""Where a module is looked for when the URI names none: Zymbit's, then SoftHSM 2's."""

_TEXT = ("token", "object", "serial", "manufacturer", "model")


@dataclass(frozen=True, kw_only=True)
class Pkcs11Uri:
    """What the URI says; None is what it leaves open."""

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
        """The URI for the OpenSSL engine, which takes the module from its environment."""
        return str(replace(self, module_path=None, pin_source=pin_source, slot_id=None))

    def module(self) -> str:
        """The module's path. Raises UsageError when none is named and none is found."""
        if self.module_path:
            return self.module_path
        for path in MODULES:
            if Path(path).exists():
                return path
        raise UsageError(
            "the key's URI names no PKCS#11 module, and none is in its usual place.",
            cure="add ?module-path=/path/to/module.so to the URI",
        )


def parse(rest: str) -> Pkcs11Uri:
    """Parse what stands after `pkcs11:`. Raises UsageError, naming the attribute."""
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
        elif name == "slot-id" and value.isdigit():
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
            # Not even from the environment: device.json would keep it.
            raise UsageError(
                "a PIN does not belong into a key's URI: others see it in the process list.",
                cure="put it in a file (mode 0600) and use pin-source=file:/path, or set ZYMKEY_IOT_PIN",
            )
        else:
            raise _wrong(f"the attribute {name!r} is not supported")
    return Pkcs11Uri(**known)  # type: ignore[arg-type]


def _wrong(what: str) -> UsageError:
    return UsageError(
        f"the PKCS#11 URI is not understood: {what}.",
        cure="for example --key 'pkcs11:token=fleet;object=device?pin-source=file:/etc/zymkey-iot/pin'",
    )
