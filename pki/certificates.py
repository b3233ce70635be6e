"""The three kinds of certificate that are signed here: a CA's, the proof of possession of its key, and a device's.

Profiles follow RFC 5280 section 4.2; AWS IoT asks for basicConstraints CA:TRUE in a CA's. A signer is any
``EllipticCurvePrivateKey`` or RSA key of the ``cryptography`` package; ours is usually one that lives in AWS KMS.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pki.names import common_name_only

Signer = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# A Pi without a battery-backed clock can be minutes behind at its first handshake.
CLOCK_SKEW = timedelta(minutes=5)
VERIFICATION_LIFE = timedelta(days=1)

# What a deployment may add to a device's subject, in the order in which X.509 names are usually written.
SUBJECT_ATTRIBUTES = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
}


def ca_certificate(
    *,
    signer: Signer,
    common_name: str,
    organization: str,
    validity_years: int,
    now: datetime,
    distinguisher: str = "",
) -> x509.Certificate:
    """A self-signed CA certificate. It may sign devices, but no further CA (pathLen 0).

    Args:
        signer: the CA's own key.
        organization: left out of the subject when empty.
        distinguisher: the subject's serialNumber (X.520), left out when empty: it tells apart CAs of one name.
        now: an aware datetime; the certificate is valid from ``CLOCK_SKEW`` before it.
    """
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    if distinguisher:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, distinguisher))
    subject = x509.Name(attributes)
    key = signer.public_key()
    return (
        _builder(subject=subject, issuer=subject, key=key)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=365.25 * validity_years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key), critical=False)
        .sign(signer, hashes.SHA256())
    )


def verification_certificate(
    *, signer: Signer, ca: x509.Certificate, registration_code: str, now: datetime
) -> x509.Certificate:
    """The proof of possession of a CA's key for AWS IoT (RegisterCACertificate, mode DEFAULT).

    Its common name is the account's registration code. Its own key is made here and forgotten at once: the
    certificate is used only once.
    """
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return (
        _builder(subject=common_name_only(registration_code), issuer=ca.subject, key=key)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VERIFICATION_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_authority_key_identifier(ca), critical=False)
        .sign(signer, hashes.SHA256())
    )


def device_certificate(
    *,
    signer: Signer,
    ca: x509.Certificate,
    key: CertificatePublicKeyTypes,
    device: str,
    subject: Mapping[str, str],
    validity_days: int,
    now: datetime,
) -> x509.Certificate:
    """A device's certificate: a TLS client, named by its common name, and nothing else.

    Args:
        signer: the CA's private key; ``ca`` is its certificate.
        key: the device's public key, from its CSR. Nothing else of the CSR is taken over.
        device: the common name.
        subject: further attributes, keys of ``SUBJECT_ATTRIBUTES``.
        validity_days: the life asked for; the certificate never outlives its CA.
        now: an aware datetime.
    """
    attributes = [
        x509.NameAttribute(oid, subject[name]) for name, oid in SUBJECT_ATTRIBUTES.items() if subject.get(name)
    ]
    name = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, device)])
    return (
        _builder(subject=name, issuer=ca.subject, key=key)
        .not_valid_before(max(now - CLOCK_SKEW, ca.not_valid_before_utc))
        .not_valid_after(min(now + timedelta(days=validity_days), ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_key_identifier(ca), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _builder(*, subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        # 159 random bits; the CA/Browser Forum asks for at least 64, so that what is signed cannot be predicted.
        .serial_number(x509.random_serial_number())
    )


def _authority_key_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The CA's own subject key identifier where it has one (RFC 5280 section 4.2.1.1): it may be of another method."""
    try:
        identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
