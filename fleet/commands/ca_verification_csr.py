"""``zymkey-fleet ca verification-csr``: what a CA must sign before AWS IoT takes it (mode DEFAULT).

AWS actions: iot:GetRegistrationCode. It needs no deployment, for it comes before one.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.arguments import json_option, place_options
from fleet.ca_key import ca_options, open_ca
from fleet.deployment import iot_client
from fleet.errors import Refused
from fleet.files import write_public
from fleet.output import note, print_json
from pki.certificate_authority_checks import check_certificate_authority
from pki.certificates import verification_certificate
from pki.issued_certificate_checks import CertificateError
from pki.names import common_name_only


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", type=Path, help="write it there instead of printing it")
    ca_options(parser, required=False)
    json_option(parser)
    place_options(parser)
    parser.epilog = """\
Prints a CSR whose common name is the account's registration code. Sign it with your CA, and name the certificate in
cdk.json as externalCertificateAuthority.verificationCertificate. With --ca-cert and --ca-key it is signed here, and
the verification certificate is printed instead. AWS IoT looks at it once, when the CA is registered.
JSON: registrationCode, and csr or certificate (PEM).

examples:
  zymkey-fleet ca verification-csr > verification.csr
  openssl x509 -req -in verification.csr -CA ca.crt -CAkey ca.key -days 1 -out verification.crt
  zymkey-fleet ca verification-csr --ca-cert ca.crt --ca-key ca.key > verification.crt"""


def run(options: argparse.Namespace) -> int:
    if (options.ca_cert is None) != (options.ca_key is None):
        raise Refused("--ca-cert and --ca-key belong together.")
    code = iot_client(options).get_registration_code()["registrationCode"]
    kind, pem = ("csr", _csr(code)) if options.ca_cert is None else ("certificate", _certificate(code, options))
    if options.out is not None:
        write_public(options.out, pem.encode("ascii"))
        note(f"The verification {kind} is in {options.out}.")
    if options.json:
        print_json({"registrationCode": code, kind: pem})
    elif options.out is None:
        print(pem, end="")
    return 0


def _csr(code: str) -> str:
    """The key is made here and forgotten: nothing will ever use this certificate again."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = common_name_only(code)
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


def _certificate(code: str, options: argparse.Namespace) -> str:
    ca, signer = open_ca(options)
    now = datetime.now(UTC)
    try:
        check_certificate_authority(ca, now=now)
    except CertificateError as error:
        raise Refused(str(error)) from None
    certificate = verification_certificate(signer=signer, ca=ca, registration_code=code, now=now)
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
