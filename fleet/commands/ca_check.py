"""``zymkey-fleet ca check``: whether AWS IoT would register a CA, before anything is deployed.

AWS actions: iot:GetRegistrationCode, when a verification certificate is given.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from fleet.arguments import json_option, place_options
from fleet.deployment import iot_client
from fleet.errors import Refused
from fleet.files import read
from fleet.output import print_json
from pki.certificate_authority_checks import (
    check_certificate_authority,
    check_verification_certificate,
    read_ca_certificate,
    read_verification_certificate,
)
from pki.issued_certificate_checks import CertificateError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ca-cert", metavar="FILE", type=Path, required=True, help="the CA's certificate, PEM")
    parser.add_argument("--verification-cert", metavar="FILE", type=Path, help="what it signed for AWS IoT, PEM")
    json_option(parser)
    place_options(parser)
    parser.epilog = """\
`cdk synth` checks the same files, but for the registration code, which only the account knows.
JSON: ok, subject."""


def run(options: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    try:
        ca = read_ca_certificate(read(options.ca_cert, "CA certificate"))
        check_certificate_authority(ca, now=now)
        if options.verification_cert is not None:
            verification = read_verification_certificate(read(options.verification_cert, "verification certificate"))
            code = iot_client(options).get_registration_code()["registrationCode"]
            check_verification_certificate(verification, ca=ca, now=now, registration_code=code)
    except CertificateError as error:
        raise Refused(str(error)) from None
    subject = ca.subject.rfc4514_string()
    if options.json:
        print_json({"ok": True, "subject": subject})
    else:
        print(f"AWS IoT would register the CA {subject!r}.")
    return 0
