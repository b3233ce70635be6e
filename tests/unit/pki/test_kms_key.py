"""A key in KMS signs as any other key, through one call, and gives nothing else away."""

import copy
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pki.certificates import ca_certificate
from pki.kms_key import KmsPrivateKey


class Kms:
    """The two calls of AWS KMS that are used here, on a key in memory (tests/sandbox has the emulator's)."""

    def __init__(self, curve: ec.EllipticCurve) -> None:
        self.key = ec.generate_private_key(curve)
        self.calls: list[dict[str, object]] = []

    def get_public_key(self, *, KeyId: str) -> dict[str, bytes]:  # noqa: N803  AWS's spelling
        public = self.key.public_key()
        return {"PublicKey": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)}

    def sign(self, **call) -> dict[str, bytes]:
        self.calls.append(call)
        return {"Signature": self.key.sign(call["Message"], ec.ECDSA(Prehashed(hashes.SHA256())))}


@pytest.fixture
def kms():
    return Kms(ec.SECP256R1())


@pytest.fixture
def key(kms):
    return KmsPrivateKey.open(client=kms, key_id="arn:key")


def test_a_certificate_costs_one_call_that_holds_a_digest_and_no_data(kms, key):
    ca = ca_certificate(signer=key, common_name="CA", organization="", validity_years=1, now=datetime.now(UTC))
    ca.verify_directly_issued_by(ca)
    (call,) = kms.calls
    assert {**call, "Message": len(call["Message"])} == {
        "KeyId": "arn:key",
        "Message": 32,
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }


def test_it_cannot_be_taken_out(key):
    for taking in (
        key.private_numbers,
        lambda: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        lambda: key.exchange(ec.ECDH(), key.public_key()),
    ):
        with pytest.raises(NotImplementedError):
            taking()
    assert copy.deepcopy(key) is copy.copy(key) is key


def test_another_hash_or_another_curve_is_refused_before_kms_is_asked(kms, key):
    with pytest.raises(ValueError, match="SHA-256, not with SHA384"):
        key.sign(b"data", ec.ECDSA(hashes.SHA384()))
    assert kms.calls == []
    with pytest.raises(ValueError, match="not an ECC_NIST_P256 key"):
        KmsPrivateKey.open(client=Kms(ec.SECP384R1()), key_id="arn:key")
