"""PKCS#11 URIs (RFC 7512): the token, the key in it, the file with the PIN."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from fleet.errors import Refused

_PATH = {"token", "serial", "object", "id", "type", "slot-id", "manufacturer", "model"}
_QUERY = {"module-path", "pin-source"}


@dataclass(frozen=True, kw_only=True)
class Pkcs11Uri:
    """The attributes that are used here; None where the URI does not name one."""

    token: str | None = None
    serial: str | None = None
    object: str | None = None  # the key's label
    id: bytes | None = None  # the key's CKA_ID
    module_path: str | None = None
    pin_file: Path | None = None

    @classmethod
    def parse(cls, uri: str) -> "Pkcs11Uri":
        """Read a URI.

        Raises:
            Refused: it is malformed, has an attribute that is not known here, or the PIN itself.
        """
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        attributes = _split(path, ";", _PATH)
        options = _split(query, "&", _QUERY | {"pin-value"})
        if "pin-value" in options:
            raise Refused(
                "A PIN in a PKCS#11 URI can be read by everybody on this machine.",
                cure="put the PIN into a file and add pin-source=file:/path, or set $ZYMKEY_FLEET_PIN",
            )
        if attributes.get("type", "private") != "private":
            raise Refused(
                f"The PKCS#11 URI has type={attributes['type']}; a private key is needed.", cure="write type=private"
            )
        if not {"object", "id"} & attributes.keys():
            raise Refused("The PKCS#11 URI names no key.", cure="add object=LABEL or id=%01 to the URI")
        return cls(
            token=_text(attributes, "token"),
            serial=_text(attributes, "serial"),
            object=_text(attributes, "object"),
            id=unquote_to_bytes(attributes["id"]) if "id" in attributes else None,
            module_path=_text(options, "module-path"),
            pin_file=Path(unquote(options["pin-source"]).removeprefix("file:")) if "pin-source" in options else None,
        )


def _split(text: str, separator: str, known: set[str]) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(separator) if part]
    for name, equals, _ in pairs:
        if not equals or name not in known:
            raise Refused(
                f"The PKCS#11 URI has {name!r}, which is not known here (RFC 7512).",
                cure=f"use ATTRIBUTE=VALUE with {', '.join(sorted(known))}",
            )
    return {name: value for name, _, value in pairs}


def _text(attributes: dict[str, str], name: str) -> str | None:
    return unquote(attributes[name]) if name in attributes else None
