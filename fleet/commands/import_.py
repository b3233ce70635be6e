"""``zymkey-fleet import``: register certificates that were signed elsewhere.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem. The certificates go to the deployment's HTTP API.
"""

import argparse
from pathlib import Path

from cryptography import x509

from fleet.arguments import deployment_options, json_option
from fleet.certificate_files import certificate_files, check_file
from fleet.deployment import Deployment, open_deployment
from fleet.errors import FleetError
from fleet.registrations import Registration, exit_code, show


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="its files that end in .pem, .crt or .cer are read")
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
For a deployment whose issuer is external. One device's certificate a file, alone or with its chain. Each is checked:
issued by the registered CA, for the very key of the device, named as the device, for TLS clients, valid now, and not
registered before. One that is refused keeps no other from being registered; the exit code is then 1.
JSON: a list of name, registered, certificateId, reason."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    deployment.require_issuer("external")
    files = certificate_files(options.folder)
    authorities = deployment.api.ca_certificates()
    registrations = [_register(each, authorities, deployment) for each in files]
    show(registrations, as_json=options.json)
    return exit_code(registrations)


def _register(path: Path, authorities: list[x509.Certificate], deployment: Deployment) -> Registration:
    try:
        checked = check_file(path, authorities=authorities, ledger=deployment.ledger)
    except FleetError as error:
        return Registration(name=path.name, certificate=None, failure=error)
    try:
        deployment.api.upload(checked.certificate)
    except FleetError as error:
        return Registration(name=checked.device, certificate=checked.certificate, failure=error)
    return Registration(name=checked.device, certificate=checked.certificate)
