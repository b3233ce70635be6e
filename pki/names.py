"""What a device may be called, and what an X.509 subject calls it.

The name becomes the certificate's common name, the thing's name, the MQTT client id and a part of topics. AWS IoT
does not substitute a policy variable whose value holds ``* $ + ? #``, so the alphabet is small.
"""

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from pki import der

DEVICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
DEVICE_NAME_RULE = "1 to 64 letters, digits, hyphens and underscores"

VERIFY_PREFIX = "zymkey-fleet-verify-"
"""How the names of the throw-away devices of ``zymkey-fleet verify`` begin; no fleet's own device has such a name."""
THINGLESS_PREFIX = f"{VERIFY_PREFIX}thingless-"
"""Of those that lose their thing, while the IoT policy tries to shut such devices out."""

MAX_COMMON_NAME = 64
_COMMON_NAME = bytes.fromhex("550403")  # 2.5.4.3, as DER has it
# The string types of X.680 section 8.6, and how each is read. OpenSSL reads a TeletexString as Latin-1, too.
_STRINGS = {
    0x0C: ("UTF8String", "utf-8"),
    0x12: ("NumericString", "ascii"),
    0x13: ("PrintableString", "ascii"),
    0x14: ("TeletexString", "latin-1"),
    0x16: ("IA5String", "ascii"),
    0x1A: ("VisibleString", "ascii"),
    0x1C: ("UniversalString", "utf-32-be"),
    0x1E: ("BMPString", "utf-16-be"),
}
# What a CA has to use (RFC 5280 section 4.1.2.4), and every reader understands.
USUAL_STRINGS = ("UTF8String", "PrintableString")


@dataclass(frozen=True)
class CommonName:
    """One common name: the text, and its ASN.1 string type, such as ``UTF8String``."""

    text: str
    string: str = USUAL_STRINGS[0]

    @property
    def is_usual(self) -> bool:
        """Whether other programs, AWS IoT among them, can be expected to read the same text."""
        return self.string in USUAL_STRINGS


def is_device_name(text: str) -> bool:
    """Whether the text can be a device's name (``DEVICE_NAME_RULE``)."""
    return DEVICE_NAME.fullmatch(text) is not None


def fits_a_common_name(text: str) -> bool:
    """Whether the text can be a common name: 1 to 64 bytes of UTF-8, as ``cryptography`` counts them."""
    try:
        return 1 <= len(text.encode("utf-8")) <= MAX_COMMON_NAME
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON and a command line can hold
        return False


def read_common_names(name: der.Element) -> tuple[CommonName, ...]:
    """Every common name of a name in DER, in order. What else the name says may be of any type, and unreadable.

    Raises:
        DerError: it is no X.509 name (RFC 5280 section 4.1.2.4), or a common name is no text.
    """
    attributes = [
        attribute.expect(der.SEQUENCE).children()
        for relative in name.expect(der.SEQUENCE).children()
        for attribute in relative.expect(der.SET).children()
    ]
    if any(len(attribute) != 2 for attribute in attributes):
        raise der.DerError("a name's attribute has a type and a value")
    return tuple(
        _common_name(value) for kind, value in attributes if kind.expect(der.OBJECT_IDENTIFIER).content == _COMMON_NAME
    )


def _common_name(value: der.Element) -> CommonName:
    string, encoding = _STRINGS.get(value.tag, ("", ""))
    if not string:
        raise der.DerError(f"the common name is no text, but has the tag {value.tag:#04x}")
    try:
        return CommonName(value.content.decode(encoding), string)
    except UnicodeDecodeError:
        raise der.DerError(f"the common name is not the {string} that it claims to be") from None


def common_names(subject: x509.Name) -> list[str]:
    """Every common name of a subject, in order. A device's certificate has one."""
    return [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def common_name_only(name: str) -> x509.Name:
    """A subject that consists of a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
