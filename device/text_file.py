"""Text in files as editors write it: UTF-8 or UTF-16, with or without a byte order mark, with any line ends."""

import codecs


def decoded(data: bytes) -> str:
    """The text of a file, with ``\\n`` at the end of lines.

    Raises:
        UnicodeDecodeError: it is no text in UTF-8 or UTF-16.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16")
    elif data[:2].count(0) == 1:
        # Without the mark: of plain text, each second byte is zero.
        text = data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    else:
        text = data.decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")
