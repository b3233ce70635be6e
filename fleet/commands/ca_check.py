"""``zymkey-fleet ca check``: whether AWS IoT would register a CA, before anything is deployed.

AWS actions: iot:DescribeCACertificate, iot:ListCACertificates, and iot:GetRegistrationCode, when a verification
certificate is given.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from fleet.arguments import add_account, add_examples, add_json
from fleet.deployment import iot_client
from fleet.errors import Refused
from fleet.files import read
from fleet.output import print_json, print_line
from fleet.registered_authorities import refuse_registered, registered_authorities
from pki.certificate_authority_checks import (
    check_certificate_authority,
    check_verification_certificate,
    read_ca_certificate,
    read_verification_certificate,
)
from pki.received_certificate import CertificateError, subject_of


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ca-cert", metavar="FILE", type=Path, required=True, help="the CA's certificate, PEM")
    parser.add_argument(
        "--verification-cert", metavar="FILE", type=Path, help="the verification certificate that the CA signed, PEM"
    )
    add_json(parser)
    add_account(parser)
    parser.epilog = """\
`cdk synth` makes the same checks, except for what only the AWS account knows: its registration code, and whether AWS
IoT has this CA already, or one with the same subject and key. In DEFAULT mode a CA belongs to one account in a Region.
That another account has it shows only when it is deployed: delete it there first, or use SNI_ONLY mode in both.
JSON: ok, subject."""
    add_examples(
        parser,
        "zymkey-fleet ca check --ca-cert ca.crt",
        "zymkey-fleet ca check --ca-cert ca.crt --verification-cert verification.crt",
    )


def run(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    iot = iot_client(arguments)
    cure = "give the certificate of a CA (basicConstraints CA:TRUE), or have your CA's tools make one"
    try:
        ca = read_ca_certificate(read(arguments.ca_cert, "CA certificate"))
        check_certificate_authority(ca, now=now)
        if arguments.verification_cert is not None:
            cure = "zymkey-fleet ca verification-csr, and have the CA sign what it prints"
            verification = read_verification_certificate(read(arguments.verification_cert, "verification certificate"))
            code = iot.get_registration_code()["registrationCode"]
            check_verification_certificate(verification, ca=ca, now=now, registration_code=code)
    except CertificateError as error:
        raise Refused(str(error), cure=cure) from None
    refuse_registered(ca, registered_authorities(iot))
    subject = subject_of(ca)
    if arguments.json:
        print_json({"ok": True, "subject": subject})
    else:
        print_line(f"AWS IoT would register the CA {subject!r}.")
    return 0
