"""``zymkey-fleet import``: register certificates that were signed elsewhere.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem. The certificates go to the deployment's HTTP API.
"""

import argparse
from pathlib import Path

from cryptography import x509

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.certificate_files import certificate_files, check_file, register
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError
from fleet.output import note
from fleet.registrations import Registration, exit_code, show
from pki.issuers import EXTERNAL


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="its files that end in .pem, .crt or .cer are read")
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
For a deployment with the issuer external. Each file holds the certificate of one device, alone or with its chain.
Each certificate is checked: issued by the registered CA, for the device's key, with the device's name, for TLS
clients, and valid now. A file that is refused, whatever is in it, does not stop the others: it is named, and the exit
code is then 1. Files may be as people have them: PEM with text around it, in UTF-16, base64 of it, or DER. To import a
folder again registers what is not registered yet.
JSON: a list of name, registered, certificateId, reason, try."""
    add_examples(parser, "zymkey-fleet import signed")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    deployment.require_issuer(EXTERNAL)
    files = certificate_files(arguments.folder)
    authorities = deployment.api.ca_certificates()
    registrations = [_register(each, authorities, deployment) for each in files]
    show(registrations, as_json=arguments.json)
    if not arguments.json:
        note(f"Registered: {sum(each.failure is None for each in registrations)} of {len(registrations)} files.")
    return exit_code(registrations)


def _register(path: Path, authorities: list[x509.Certificate], deployment: Deployment) -> Registration:
    try:
        checked = check_file(path, authorities=authorities, ledger=deployment.ledger)
    except FleetError as error:
        return Registration(name=path.name, certificate=None, failure=error)
    try:
        register(checked, deployment)
    except FleetError as error:
        return Registration(name=checked.device, certificate=checked.certificate, failure=error)
    return Registration(name=checked.device, certificate=checked.certificate)
