"""Text as people's editors save it: UTF-8, with or without a byte order mark, UTF-16 with one, or an old code page."""

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def encoding_of(data: bytes) -> str:
    """The encoding that the first bytes say; UTF-8 when they say nothing."""
    if data.startswith(_UTF_16):
        return "utf-16"
    return "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"


def decoded(data: bytes) -> str:
    """The text, without a byte order mark.

    Raises:
        UnicodeDecodeError: it is not in the encoding that it says.
    """
    return data.decode(encoding_of(data))
