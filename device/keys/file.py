"""``file:`` is a software key, to try things without hardware. Each use prints a warning."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ..errors import KeyUnavailable
from ..storage import storage_errors, write_atomically
from ..text_file import read_small
from .command_line import CommandLineKey
from .device_key import DeviceKey
from .private_key_file import EncryptedKey, read_private_key


class FileKey(DeviceKey):
    """A P-256 private key in an unencrypted PEM file."""

    kind = "file"

    def __init__(self, path: Path, private_key: ec.EllipticCurvePrivateKey) -> None:
        super().__init__(f"file:{path}", private_key.public_key())
        self._path = path
        self._private_key = private_key
        self.warning = (
            f"{path} is a SOFTWARE key: anyone with a copy of the file can act as this device. Only for tests."
        )

    def sign_digest(self, digest: bytes) -> bytes:
        return self._private_key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))

    def details(self) -> dict[str, str | int]:
        return {"model": "software key", "file": str(self._path)}

    def title(self) -> str:
        return "software key"

    def by_hand(self) -> CommandLineKey:
        return CommandLineKey(name=str(self._path))


def open_file(path: Path, *, create: bool) -> FileKey:
    """Read the key, or make it (mode 0600) when there is no file and ``create`` allows it.

    A file that exists is never replaced, even if something is wrong with it.

    Raises:
        KeyUnavailable: there is no file, or it does not hold a P-256 key that can be read.
        StorageError: the file cannot be written.
    """
    path = path.absolute()
    with storage_errors(path):
        if create and not path.exists():
            write_atomically(path, _new_key(), mode=0o600)
    try:
        data = read_small(path)
    except FileNotFoundError:
        raise KeyUnavailable(
            f"there is no key in {path}.",
            cure="zymkey-iot bootstrap, which makes a software key; or name the right file: --key file:/path",
        ) from None
    except OSError as error:
        raise KeyUnavailable(
            f"the key in {path} cannot be read: {os.strerror(error.errno or 0)}.",
            cure="run it as the owner of the file, or with sudo",
        ) from None
    try:
        private_key = read_private_key(data)
    except EncryptedKey:
        raise KeyUnavailable(
            f"the key in {path} is encrypted with a passphrase.",
            cure=f"decrypt the key (openssl pkey -in {path}), or use a key in hardware",
        ) from None
    except ValueError as wrong:
        raise KeyUnavailable(
            f"{path} {wrong}.",
            cure="move the file away; bootstrap then makes a new key, and the cloud sees a new device",
        ) from None
    if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not isinstance(private_key.curve, ec.SECP256R1):
        raise KeyUnavailable(
            f"the key in {path} is not an elliptic curve key on the curve P-256.",
            cure="make one: openssl ecparam -name prime256v1 -genkey -noout",
        )
    return FileKey(path, private_key)


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
