"""A CA on loopback: certificates for the test servers, and for devices that enroll at them."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A self-signed CA that signs what it is told to."""

    def __init__(self, name: str = "loopback CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = common_name(name)
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self.certificate = self._sign_ca(self._name, self._key.public_key())

    def _sign_ca(self, name: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - 400 * DAY)
            .not_valid_after(now() + 4000 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def vouch_for(self, other: "Authority") -> x509.Certificate:
        """A certificate for another CA's key and name, so that this one is its root."""
        return self._sign_ca(other._name, other._key.public_key())

    def write_pem(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self,
        public_key: ec.EllipticCurvePublicKey,
        subject: x509.Name,
        *,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
        server_names: tuple[str, ...] = (),
    ) -> x509.Certificate:
        """A certificate for clients or, with `server_names`, for servers."""
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server_names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(since or now() - DAY / 100)
            .not_valid_after(until or now() + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier), critical=False
            )
        )
        if server_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, server_names))), False)
        return builder.sign(self._key, hashes.SHA256())

    def write_server(
        self,
        folder: Path,
        *names: str,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
    ) -> Path:
        """A server's certificate and key in one PEM file, as ssl.SSLContext.load_cert_chain takes it."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.issue(key.public_key(), common_name(names[0]), since=since, until=until, server_names=names)
        path = folder / f"{names[0]}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path


def certs_only(*certificates: x509.Certificate) -> bytes:
    """A certs-only PKCS#7 in DER."""
    return pkcs7.serialize_certificates(list(certificates), serialization.Encoding.DER)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
