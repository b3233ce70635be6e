"""Text in files as editors write it: UTF-8 or UTF-16, with or without a byte order mark, with any line ends."""

import codecs
import errno
import os
from pathlib import Path

_LARGEST = 1 << 20


def read_small(path: Path) -> bytes:
    """The content of a file that people write by hand: a device such as /dev/zero has no end.

    Raises:
        OSError: it cannot be read, or is larger than 1 MB.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def encoding_of(data: bytes) -> str:
    """The encoding of text, by its first bytes."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data[:2].count(0) == 1:
        # Without the mark: of plain text, each second byte is zero.
        return "utf-16-be" if data[0] == 0 else "utf-16-le"
    return "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"


def decoded(data: bytes) -> str:
    """The text of a file, with ``\\n`` at the end of lines.

    Raises:
        UnicodeDecodeError: it is no text in UTF-8 or UTF-16.
    """
    return data.decode(encoding_of(data)).replace("\r\n", "\n").replace("\r", "\n")
