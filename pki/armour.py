"""How people wrap DER: PEM with text around it, on one line, in UTF-16 or in base64 once more, bare base64, bare DER.

One reader for everything that somebody sends or names: CSRs, certificates, public keys. PEM is RFC 7468.
"""

import base64
import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Each character can be matched in one way alone: a line of many blanks costs no more than another.
_BOUNDARY = re.compile(rb"-----[ ]{0,9}(BEGIN|END)[ ]{1,9}([^ \-\r\n][^\-\r\n]{0,79})-----")
# ``Proc-Type: 4,ENCRYPTED`` and its like (RFC 1421 section 4.6), which are not base64.
_HEADER = re.compile(rb"^[A-Za-z][A-Za-z0-9-]*:.*$", re.MULTILINE)
_SEQUENCE = 0x30


class ArmourError(ValueError):
    """No DER can be taken out. The message is the end of a sentence: what is wrong with the text."""


@dataclass(frozen=True)
class Block:
    """What was inside: the label of the PEM, empty for bare base64 and bare DER, and the DER."""

    label: str
    der: bytes


def unwrap(data: bytes) -> list[Block]:
    """Everything that is wrapped in these bytes, in order; text outside of PEM is skipped.

    Raises:
        ArmourError: there is nothing, or it is not base64.
    """
    # No text begins as a long SEQUENCE does. A short one, as a public key is, has exactly the length that it says.
    if data[:1] == bytes([_SEQUENCE]) and len(data) > 1 and (data[1] > 0x7F or data[1] == len(data) - 2):
        return [Block("", data)]
    text = _text(data)
    if not text.strip():
        raise ArmourError("the text is empty")
    if b"-----BEGIN" in text:
        return list(_blocks(text))
    der = _base64(text)
    if b"-----BEGIN" in der:
        return list(_blocks(_text(der)))
    return [Block("", der)]


def armour(label: str, der: bytes) -> str:
    """PEM: lines of 64 characters."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _text(data: bytes) -> bytes:
    """The text in an encoding of one byte a character, with real line breaks where somebody wrote them as ``\\n``."""
    data = data.removeprefix(codecs.BOM_UTF8)
    # Without a mark, UTF-16 shows itself by the zero beside the first character.
    if data.startswith(codecs.BOM_UTF16_LE) or data[1:2] == b"\0":
        data = data.decode("utf-16-le", "replace").lstrip("\ufeff").encode("ascii", "replace")
    elif data.startswith(codecs.BOM_UTF16_BE) or data[:1] == b"\0":
        data = data.decode("utf-16-be", "replace").lstrip("\ufeff").encode("ascii", "replace")
    return data.replace(rb"\r", b"\n").replace(rb"\n", b"\n")


def _blocks(text: bytes) -> Iterator[Block]:
    """The blocks, read in one pass: text that begins a thousand blocks and ends none costs no more than other text."""
    label, start, found = b"", 0, False
    for boundary in _BOUNDARY.finditer(text):
        kind, name = boundary[1], boundary[2].rstrip(b" ")
        if kind == b"BEGIN":
            if label:
                break
            label, start = name, boundary.end()
        elif label:
            if name != label:
                raise ArmourError(f"it begins as {_shown(label)} and ends as {_shown(name)}")
            yield Block(_shown(label), _base64(_HEADER.sub(b"", text[start : boundary.start()])))
            label, found = b"", True
    if label:
        raise ArmourError(f"its END line is missing: -----END {_shown(label)}-----")
    if not found:
        raise ArmourError("its BEGIN line or its END line is damaged")


def _base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ArmourError("it is not base64") from None


def _shown(label: bytes) -> str:
    return re.sub(r"[^ -~]", "?", label.decode("ascii", "replace"))
