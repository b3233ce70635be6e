"""``zymkey-fleet ca verification-csr``: what a CA must sign before AWS IoT registers it (mode DEFAULT).

AWS actions: iot:GetRegistrationCode. It needs no deployment, since it is used before the first one.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.arguments import add_account, add_examples, add_json
from fleet.ca_key import add_ca, has_ca, open_ca, refuse_unsuitable_ca
from fleet.deployment import iot_client
from fleet.files import write_public
from fleet.output import note, print_json, print_pem
from pki.certificates import verification_certificate
from pki.names import common_name_only


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", type=Path, help="write to this file instead of stdout")
    add_ca(parser, required=False)
    add_json(parser)
    add_account(parser)
    parser.epilog = """\
Prints a CSR whose common name is the account's registration code. Sign it with your CA, and name the certificate in
cdk.json as externalCertificateAuthority.verificationCertificate. With --ca-cert and --ca-key this command signs the
CSR itself, and prints the verification certificate. AWS IoT reads it once, when the CA is registered.
JSON: registrationCode, and csr or certificate (PEM)."""
    add_examples(
        parser,
        "zymkey-fleet ca verification-csr > verification.csr",
        "openssl x509 -req -in verification.csr -CA ca.crt -CAkey ca.key -days 1 -out verification.crt",
        "zymkey-fleet ca verification-csr --ca-cert ca.crt --ca-key ca.key > verification.crt",
    )


def run(arguments: argparse.Namespace) -> int:
    signs = has_ca(arguments)
    code = iot_client(arguments).get_registration_code()["registrationCode"]
    kind, pem = ("certificate", _certificate(code, arguments)) if signs else ("csr", _csr(code))
    if arguments.out is not None:
        write_public(arguments.out, pem.encode("ascii"))
        note(f"The verification {kind} is in {arguments.out}.")
    if arguments.json:
        print_json({"registrationCode": code, kind: pem})
    elif arguments.out is None:
        print_pem(pem)
    return 0


def _csr(code: str) -> str:
    """The key is made here and forgotten: the certificate is never used again."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = common_name_only(code)
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


def _certificate(code: str, arguments: argparse.Namespace) -> str:
    ca, signer = open_ca(arguments)
    refuse_unsuitable_ca(ca)
    certificate = verification_certificate(signer=signer, ca=ca, registration_code=code, now=datetime.now(UTC))
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
