"""`file:`, and what any key refuses that signs and does nothing else."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from device.csr import make_csr
from device.errors import KeyUnavailable
from device.keys.file import FileKey, open_file
from device.tls import HandshakeSigner
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import Pi

__all__ = ["zymkey_iot"]

PKCS8 = PrivateFormat.PKCS8


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PKCS8, NoEncryption())


def encrypted() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (encrypted, "openssl pkey -in"),
        (lambda: b"not a key", "does not hold a private key"),
        (lambda: pem(rsa.generate_private_key(65537, 2048)), "P-256"),
        (lambda: pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    ],
    ids=["encrypted", "no PEM", "RSA", "P-384"],
)
def test_a_file_that_holds_no_usable_key_says_why_and_is_never_replaced(
    pi: Pi, zymkey_iot: Command, tmp_path: Path, content: Callable[[], bytes], names: str
) -> None:
    path = tmp_path / "the.key"
    path.write_bytes(before := content())

    done = zymkey_iot("bootstrap", "--key", f"file:{path}")

    assert (done.returncode, names in done.stderr) == (3, True), done.stderr
    assert path.read_bytes() == before


KEY = ec.generate_private_key(ec.SECP256R1())
PLAIN = pem(KEY)
SEC1 = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def without_breaks(text: bytes) -> bytes:
    begin, body, end = text.decode().replace("-----\n", "-----|").replace("\n-----", "|-----").split("|")[:3]
    return (begin + body.replace("\n", "") + end).encode()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        SEC1,
        PARAMETERS + SEC1,
        PUBLIC + PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        PLAIN.replace(b"\n", b"\n  "),
        PLAIN.decode().encode("utf-16"),
        PLAIN.decode().encode("utf-16-le"),
        b"The key of pi-7:\n" + PLAIN + b"\nDo not lose it.\n",
        without_breaks(PLAIN),
        KEY.private_bytes(Encoding.DER, PKCS8, NoEncryption()),
        KEY.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    ],
)
def test_a_key_file_as_people_have_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "the.key"
    path.write_bytes(content)
    assert open_file(path, create=False).public_key() == KEY.public_key()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not hold a private key in PEM"),
        (PUBLIC, "does not hold a private key, but: public key"),
        (PARAMETERS, "does not hold a private key, but: ec parameters"),
        (PLAIN + pem(ec.generate_private_key(ec.SECP256R1())), "holds 2 private keys instead of one"),
        (PLAIN.replace(b"M", b"N", 1), "damaged"),
        (PLAIN[:-60], "does not hold a private key in PEM"),
        (bytes(range(128, 256)), "does not hold a private key in PEM"),
        (b"\x30\x03\x02\x01\x01", "does not hold a private key in DER"),
        (
            KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
            "is encrypted with a passphrase",
        ),
        (
            KEY.private_bytes(Encoding.DER, PKCS8, BestAvailableEncryption(b"x")),
            "is encrypted with a passphrase",
        ),
    ],
)
def test_a_file_with_something_else_is_told_for_what_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "the.key"
    path.write_bytes(content)
    with pytest.raises(KeyUnavailable, match=told):
        open_file(path, create=False)


def test_a_folder_in_the_files_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="Is a directory"):
        open_file(tmp_path, create=False)


@pytest.fixture
def key(tmp_path: Path) -> FileKey:
    return open_file(tmp_path / "key.pem", create=True)


def test_a_key_signs_data_and_digests_alike_and_counts_both(key: FileKey) -> None:
    algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(b"data")

    key.public_key().verify(key.sign(b"data", ec.ECDSA(algorithm)), b"data", ec.ECDSA(algorithm))
    prehashed = ec.ECDSA(Prehashed(algorithm))
    key.public_key().verify(key.sign(digest.finalize(), prehashed), b"data", ec.ECDSA(algorithm))

    assert key.signatures == 2


def test_a_key_of_this_kind_does_nothing_else_and_there_is_one_of_it(key: FileKey) -> None:
    plain = serialization.NoEncryption()
    for attempt in (
        key.private_numbers,
        lambda: key.private_bytes(Encoding.PEM, PKCS8, plain),
        lambda: key.exchange(ec.ECDH(), key.public_key()),
    ):
        with pytest.raises(KeyUnavailable, match="can only sign"):
            attempt()
    assert (key.curve.name, key.key_size) == ("secp256r1", 256)
    assert copy.copy(key) is key
    assert copy.deepcopy(key) is key


def test_a_csr_that_the_key_has_signed_wrongly_goes_nowhere(key: FileKey, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    prehashed = ec.ECDSA(Prehashed(hashes.SHA256()))
    monkeypatch.setattr(FileKey, "sign_digest", lambda _, digest: other.sign(digest, prehashed))
    with pytest.raises(KeyUnavailable):
        make_csr(key, "pi-7")


def test_a_defect_while_a_handshake_is_signed_is_the_keys_and_not_the_networks(
    key: FileKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would only say that the handshake failed."""

    def defect(_: FileKey, digest: bytes) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(FileKey, "sign_digest", defect)
    signer = HandshakeSigner(key)
    with pytest.raises(ZeroDivisionError):
        signer.sign(bytes(32), hash="sha256")
    assert signer.failure is not None
    assert "ZeroDivisionError" in signer.failure.cause
