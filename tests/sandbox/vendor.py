"""The vendor's own software, run as it is: its Python module, and its documented `openssl` and `curl` lines."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from sandbox.zymkey.device import SimulatedZymkey

DIGEST = hashlib.sha256(b"what is signed").digest()

# Word for word, save the address.
OPENSSL_REQ = (
    "openssl req -key nonzymkey.key -new -out zymkey.csr -engine zymkey_ssl -keyform e"
    ' -subj "/C=US/ST=California/L=Santa Barbara/O=Zymbit/OU=Zymkey/CN=rpi.edge.zymbit.com"'
)
CURL = (
    "curl --tlsv1.2 --cacert AWS_CA.pem --cert zymkey.crt --key nonzymkey.key --engine zymkey_ssl --key-type ENG"
    ' -v -X POST -d "{{ \\"hello\\": \\"world\\"}}" "https://{address}/topics/hello/world"'
)

# Evaluates expressions one after the other; each answers with its value, or with the text of what it raised.
_ASK = """
import json, sys, zymkey
class Digest:
    def digest(self):
        return bytes.fromhex(sys.argv[1])
names = {"zymkey": zymkey, "client": zymkey.client, "digest": Digest()}
def answer(expression):
    try:
        value = eval(expression, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return value.hex() if isinstance(value, bytearray) else value
print(json.dumps([answer(expression) for expression in sys.argv[2:]]))
"""

# The module imports distutils. Where Python still has one, it is 0.3 s sooner there than setuptools' copy.
_FAST_DISTUTILS = {"SETUPTOOLS_USE_DISTUTILS": "stdlib"} if sys.version_info < (3, 12) else {}


def ask_module(zymkey: SimulatedZymkey, *expressions: str, **variables: str) -> list[Any]:
    """What the vendor's module answers in a process of its own.

    The expressions may use `zymkey` (the module), `client` and `digest` (an object whose digest() is DIGEST).
    Bytes come back in hexadecimal.
    """
    command = [sys.executable, "-c", _ASK, DIGEST.hex(), *expressions]
    environment = {**os.environ, **_FAST_DISTUTILS, **zymkey.environment(), **variables}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    answers: list[Any] = json.loads(result.stdout)
    return answers


def run_line(line: str, zymkey: SimulatedZymkey, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line of the vendor's documentation, run by a shell in a folder, as a person does."""
    return subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1", **zymkey.environment(), **variables},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def public_key(raw: str) -> ec.EllipticCurvePublicKey:
    """From the 64 bytes x||y that a Zymkey gives, in hexadecimal."""
    assert len(raw) == 128
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + bytes.fromhex(raw))


def verify(raw_public_key: str, raw_signature: str) -> None:
    """Raise InvalidSignature unless the 64 bytes r||s sign DIGEST."""
    assert len(raw_signature) == 128
    r, s = int(raw_signature[:64], 16), int(raw_signature[64:], 16)
    algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))
    public_key(raw_public_key).verify(encode_dss_signature(r, s), DIGEST, algorithm)
