"""``zymkey-fleet ca create``: make an example CA. No AWS actions."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from fleet.arguments import json_option, positive
from fleet.errors import Refused
from fleet.files import write_public, write_secret
from fleet.output import iso, print_json
from fleet.passphrase import passphrase, passphrase_option
from pki.certificates import ca_certificate


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="gets ca.crt and ca.key; made if it does not exist")
    parser.add_argument("--common-name", metavar="NAME", default="zymkey example CA", help="default: %(default)s")
    parser.add_argument("--organization", metavar="NAME", default="", help="default: none")
    parser.add_argument("--years", type=positive, default=10, help="validity (default: %(default)s)")
    passphrase_option(parser)
    json_option(parser)
    parser.epilog = """\
A P-256 key, encrypted with a passphrase, mode 0600, and a self-signed X.509 v3 certificate. What exists is never
overwritten. For devices in the field, use a CA whose key is in hardware: `issuer: kms`, or a PKCS#11 token.
JSON: certificate, key (the files), notAfter."""


def run(options: argparse.Namespace) -> int:
    certificate_file, key_file = options.folder / "ca.crt", options.folder / "ca.key"
    if certificate_file.exists() or key_file.exists():
        raise Refused(f"There is a CA in {str(options.folder)!r} already; it is left as it is.")
    secret = passphrase("passphrase for the CA key", file=options.passphrase_file, repeat=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = ca_certificate(
        signer=key,
        common_name=options.common_name,
        organization=options.organization,
        validity_years=options.years,
        now=datetime.now(UTC),
    )
    # The key first: a certificate without its key would look like a CA that works.
    write_secret(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(secret)))
    write_public(certificate_file, certificate.public_bytes(Encoding.PEM))
    not_after = iso(int(certificate.not_valid_after_utc.timestamp()))
    if options.json:
        print_json({"certificate": str(certificate_file), "key": str(key_file), "notAfter": not_after})
    else:
        print(f"{certificate_file}  the certificate, valid until {not_after}")
        print(f"{key_file}  the key, encrypted; whoever has it and the passphrase can let devices in")
    return 0
