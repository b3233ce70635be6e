"""A CA of the fleet's own, whose key is at hand, and what it signs."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.certificates import ca_certificate, device_certificate
from pki.fingerprint import key_fingerprint
from pki.names import common_name_only

CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA = ca_certificate(signer=CA_KEY, common_name="fleet CA", organization="", validity_years=10, now=datetime.now(UTC))


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def fingerprint(key):
    return key_fingerprint(key.public_key())


def csr(key, name="pi-1"):
    """A CSR in PEM, as the ledger keeps it."""
    request = x509.CertificateSigningRequestBuilder().subject_name(common_name_only(name)).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def issue(key, name="pi-1", **changes):
    """A certificate of the fleet's CA that no device has asked for."""
    values = {
        "signer": CA_KEY,
        "ca": CA,
        "key": key.public_key(),
        "device": name,
        "subject": {},
        "validity_days": 30,
        "now": datetime.now(UTC),
    }
    return device_certificate(**values | changes)
