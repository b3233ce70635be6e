"""zymkey-iot: what runs on the Raspberry Pi, from a key in a Zymkey to a message on AWS IoT.

It is imported as ``device`` in the repository and as ``zymkey_iot`` on a Pi, so every import in here is relative.
"""

__version__ = "0.1.0"
