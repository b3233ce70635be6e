"""A private key in a file as people have it: PEM with anything around it, DER, or OpenSSH's own form."""

import re
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ..pem import blocks
from ..text_file import decoded

_PRIVATE = "PRIVATE KEY"


class EncryptedKey(ValueError):
    """The key is encrypted with a passphrase."""


def read_private_key(data: bytes) -> Any:
    """The one private key in a file, of whatever kind.

    Raises:
        EncryptedKey: it is encrypted.
        ValueError: there is not exactly one private key, or it cannot be read. The text says what there is instead, as
            the end of a sentence that begins with the file.
    """
    try:
        if data[:1] == b"\x30":
            return _from_der(data)
        return _from_pem(data)
    except TypeError:
        raise EncryptedKey("is encrypted with a passphrase") from None
    except UnsupportedAlgorithm:
        raise ValueError("holds a private key of an unknown kind") from None


def _from_der(data: bytes) -> Any:
    try:
        return serialization.load_der_private_key(data, password=None)
    except ValueError:
        raise ValueError("does not hold a private key in DER") from None


def _from_pem(data: bytes) -> Any:
    try:
        text = decoded(data)
    except UnicodeDecodeError:
        raise ValueError("does not hold a private key in PEM") from None
    there = blocks(text)
    private = [(label, body) for label, body in there if label.endswith(_PRIVATE)]
    if len(private) > 1:
        raise ValueError(f"holds {len(private)} private keys instead of one")
    if not private:
        held = sorted({label.lower() for label, _ in there})
        instead = f", but: {', '.join(held)}" if held else " in PEM"
        raise ValueError(f"does not hold a private key{instead}")
    label, body = private[0]
    if label == f"ENCRYPTED {_PRIVATE}" or "ENCRYPTED" in body:
        raise EncryptedKey("is encrypted with a passphrase")
    lines = re.findall(".{1,64}", re.sub(r"\s+", "", body))
    pem = "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
    try:
        if label == f"OPENSSH {_PRIVATE}":
            return serialization.load_ssh_private_key(pem, password=None)
        return serialization.load_pem_private_key(pem, password=None)
    except ValueError:
        raise ValueError("holds a private key in PEM that is damaged") from None
