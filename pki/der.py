"""DER, as far as this project reads it by itself: elements, one inside the other (X.690 section 8.1).

The package ``cryptography`` reads everything else. It refuses a whole CSR or certificate for a part that matters to
nobody, such as an organization in Latin-1, and says which oddities it will refuse in a later release.
"""

from dataclasses import dataclass

SEQUENCE, SET = 0x30, 0x31
INTEGER, BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER = 0x02, 0x03, 0x04, 0x06
# Lengths of four bytes are far beyond what anything here may be long.
_LONGEST_LENGTH = 4
# In bytes; those that are in use have a dozen. Python does not write a number of thousands of digits.
_LONGEST_IDENTIFIER = 64


class DerError(ValueError):
    """Bytes that are no DER, or not the DER that was expected."""


@dataclass(frozen=True)
class Element:
    """One element: its identifier's first byte, its content, and both with the length in between."""

    tag: int
    content: bytes
    der: bytes

    def children(self) -> list["Element"]:
        """The elements inside.

        Raises:
            DerError: the content is not whole elements.
        """
        found, rest = [], self.content
        while rest:
            element, rest = _first(rest)
            found.append(element)
        return found

    def expect(self, tag: int) -> "Element":
        """This element, which has to have this tag.

        Raises:
            DerError: it has another.
        """
        if self.tag != tag:
            raise DerError(f"tag {self.tag:#04x} where {tag:#04x} was expected")
        return self


def read(der: bytes) -> Element:
    """The one element that these bytes are.

    Raises:
        DerError: they are none, or more than one.
    """
    element, rest = _first(der)
    if rest:
        raise DerError("bytes after the end")
    return element


def dotted(identifier: Element) -> str:
    """An object identifier as numbers with dots between them (X.690 section 8.19).

    Raises:
        DerError: it is none, or absurdly long.
    """
    content = identifier.expect(OBJECT_IDENTIFIER).content
    if not content or content[-1] & 0x80:
        raise DerError("an object identifier that is cut off")
    if len(content) > _LONGEST_IDENTIFIER:
        raise DerError("an object identifier that is longer than any in use")
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _first(data: bytes) -> tuple[Element, bytes]:
    """The first element, and the bytes after it."""
    if len(data) < 2:
        raise DerError("cut off")
    position = 1
    if data[0] & 0x1F == 0x1F:  # the tag's number follows in further bytes, of which the last has no high bit
        while position < len(data) and data[position] & 0x80:
            position += 1
        position += 1
    length, position = _length(data, position)
    end = position + length
    if end > len(data):
        raise DerError("cut off")
    return Element(data[0], data[position:end], data[:end]), data[end:]


def _length(data: bytes, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise DerError("cut off")
    first = data[position]
    position += 1
    if first < 0x80:
        return first, position
    count = first & 0x7F
    octets = data[position : position + count]
    if not 1 <= count <= _LONGEST_LENGTH or len(octets) < count:
        raise DerError("a length that DER does not have")
    return int.from_bytes(octets), position + count
