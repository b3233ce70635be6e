"""A private key that lives in AWS KMS, as a key of the ``cryptography`` package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki.remote_key import RemoteEcPrivateKey

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


class KmsPrivateKey(RemoteEcPrivateKey):
    """A P-256 key with KeyUsage SIGN_VERIFY. Each signature is one call of ``kms:Sign``; nothing else is called.

    Signing raises what boto3 raises: ``botocore.exceptions.ClientError`` when KMS refuses or throttles.
    """

    def __init__(self, *, client: KMSClient, key_id: str, public_key: ec.EllipticCurvePublicKey) -> None:
        """Take the public key as known; from the CA's certificate it costs no call."""
        super().__init__(public_key)
        self._client = client
        self._key_id = key_id

    @classmethod
    def open(cls, *, client: KMSClient, key_id: str) -> KmsPrivateKey:
        """Ask KMS for the public key (``kms:GetPublicKey``)."""
        public_key = load_der_public_key(client.get_public_key(KeyId=key_id)["PublicKey"])
        if not isinstance(public_key, ec.EllipticCurvePublicKey) or public_key.curve.name != "secp256r1":
            raise ValueError(f"The KMS key {key_id} is not an ECC_NIST_P256 key.")
        return cls(client=client, key_id=key_id, public_key=public_key)

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign; the digest is made here and KMS never sees the data. Returns the signature in DER."""
        algorithm = signature_algorithm.algorithm
        if not isinstance(algorithm, hashes.SHA256):
            raise ValueError(f"This key signs data with SHA-256, not with {type(algorithm).__name__}.")
        digest = hashes.Hash(algorithm)
        digest.update(data)
        reply = self._client.sign(
            KeyId=self._key_id,
            Message=digest.finalize(),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return reply["Signature"]
