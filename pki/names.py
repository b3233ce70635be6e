"""What a device may be called, and what an X.509 subject calls it.

The name becomes the certificate's common name, the thing's name, the MQTT client id and a part of topics. AWS IoT
does not substitute a policy variable whose value holds ``* $ + ? #``, so the alphabet is small.
"""

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

DEVICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
DEVICE_NAME_RULE = "1 to 64 letters, digits, hyphens and underscores"


def is_device_name(text: str) -> bool:
    """Whether the text can be a device's name (``DEVICE_NAME_RULE``)."""
    return DEVICE_NAME.fullmatch(text) is not None


def common_names(subject: x509.Name) -> list[str]:
    """Every common name of a subject, in order. A device's certificate has one."""
    return [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def common_name_only(name: str) -> x509.Name:
    """A subject that consists of a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
