"""What a device may be called.

The name becomes the certificate's common name, the thing's name, the MQTT client id and a part of topics. AWS IoT
does not substitute a policy variable whose value holds ``* $ + ? #``, so the alphabet is small.
"""

import re

DEVICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
DEVICE_NAME_RULE = "1 to 64 letters, digits, hyphens and underscores"


def is_device_name(text: str) -> bool:
    """Whether the text can be a device's name (``DEVICE_NAME_RULE``)."""
    return DEVICE_NAME.fullmatch(text) is not None
