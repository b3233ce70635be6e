"""``zymkey-fleet block``: keep a device out, and switch its certificates off.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, UpdateItem,
iot:UpdateCertificate.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.certificates import deactivate
from fleet.cures import SEE_ALL
from fleet.deployment import open_deployment
from fleet.failures import explained
from fleet.output import print_json, print_line
from ledger import CertificateState


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
The device gets no new certificate, and its certificates become INACTIVE in AWS IoT; an open connection ends within
minutes. After an interruption, run the command again. `unblock` reverses it.
JSON: name, state, deactivated (ids of certificates)."""
    add_examples(parser, "zymkey-fleet block pi-1")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    # The ledger first: from then on no request of this device completes, so no other certificate becomes active.
    with explained(if_refused=SEE_ALL):
        device = deployment.ledger.block(arguments.name, by=deployment.operator, now=int(time.time()))
    deactivated = []
    for certificate in deployment.ledger.certificates(arguments.name):
        if certificate.state is not CertificateState.DEACTIVATED:
            deactivate(certificate, deployment)
            deactivated.append(certificate.certificate_id)
    if arguments.json:
        print_json({"name": device.name, "state": device.state, "deactivated": deactivated})
    else:
        print_line(f"{device.name} is blocked; certificates switched off: {len(deactivated)}.")
    return 0
