"""``zymkey-fleet block``: keep a device out, and switch its certificates off.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, UpdateItem,
iot:UpdateCertificate.
"""

import argparse
import time

from fleet.arguments import deployment_options, device_argument, json_option
from fleet.certificates import deactivate
from fleet.deployment import open_deployment
from fleet.output import print_json
from ledger import CertificateState


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
From this moment the device is given no certificate, and those that it has are INACTIVE in AWS IoT; a connection
that is open ends within minutes. Repeat the command if it was interrupted. `unblock` takes it back.
JSON: name, state, deactivated (ids of certificates)."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    # The ledger first: from then on no request of this device comes to its end, so nothing new can become active.
    device = deployment.ledger.block(options.name, by=deployment.operator, now=int(time.time()))
    deactivated = []
    for certificate in deployment.ledger.certificates(options.name):
        if certificate.state is not CertificateState.DEACTIVATED:
            deactivate(certificate, deployment)
            deactivated.append(certificate.certificate_id)
    if options.json:
        print_json({"name": device.name, "state": device.state, "deactivated": deactivated})
    else:
        print(f"{device.name} is blocked; certificates switched off: {len(deactivated)}.")
    return 0
