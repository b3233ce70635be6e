"""``zymkey-fleet ca create``: create an example CA. No AWS actions."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from fleet.arguments import add_examples, add_json, common_name, organization, years
from fleet.errors import Refused
from fleet.files import write_public, write_secret
from fleet.output import iso, print_json, print_line
from fleet.passphrase import add_passphrase, passphrase
from pki.certificates import ca_certificate


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder for ca.crt and ca.key; made if it is missing")
    parser.add_argument(
        "--common-name", metavar="NAME", type=common_name, default="zymkey example CA", help="default: %(default)s"
    )
    parser.add_argument("--organization", metavar="NAME", type=organization, default="", help="default: none")
    parser.add_argument("--years", type=years, default=10, help="validity (default: %(default)s)")
    add_passphrase(parser)
    add_json(parser)
    parser.epilog = """\
Makes a P-256 key, encrypted with a passphrase, mode 0600, and a self-signed X.509 v3 certificate. Existing files are
never overwritten. For devices in the field, use a CA whose key is in hardware: `issuer: kms`, or a PKCS#11 token.
JSON: certificate, key (the files), notAfter."""
    add_examples(parser, "zymkey-fleet ca create my-ca", "zymkey-fleet ca create my-ca --common-name 'Acme device CA'")


def run(arguments: argparse.Namespace) -> int:
    certificate_file, key_file = arguments.folder / "ca.crt", arguments.folder / "ca.key"
    if key_file.exists() and not certificate_file.exists():
        raise Refused(
            f"{str(key_file)!r} is there without its certificate: the rest of an interrupted `ca create`.",
            cure=f"remove {str(key_file)!r}, which has signed nothing, and run the same command again",
        )
    if certificate_file.exists() or key_file.exists():
        raise Refused(
            f"There is a CA in {str(arguments.folder)!r} already; nothing was changed.", cure="name another folder"
        )
    secret = passphrase("passphrase for the CA key", file=arguments.passphrase_file, repeat=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = ca_certificate(
        signer=key,
        common_name=arguments.common_name,
        organization=arguments.organization,
        validity_years=arguments.years,
        now=datetime.now(UTC),
    )
    # The key first: a certificate without its key would look like a CA that works.
    write_secret(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(secret)))
    try:
        write_public(certificate_file, certificate.public_bytes(Encoding.PEM))
    except Refused:
        key_file.unlink(missing_ok=True)  # it has signed nothing, and would be in the way of the next attempt
        raise
    not_after = iso(int(certificate.not_valid_after_utc.timestamp()))
    if arguments.json:
        print_json({"certificate": str(certificate_file), "key": str(key_file), "notAfter": not_after})
    else:
        print_line(f"{certificate_file}  the certificate, valid until {not_after}")
        print_line(f"{key_file}  the key, encrypted; with this file and the passphrase anybody can let devices in")
    return 0
