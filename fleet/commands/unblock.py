"""``zymkey-fleet unblock``: let a blocked device in again.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:ConditionCheckItem, GetItem, PutItem,
UpdateItem, iot:UpdateCertificate.
"""

import argparse
import time

from fleet.arguments import add_deployment, add_device, add_examples, add_json
from fleet.certificates import reactivate
from fleet.cures import SEE_ALL
from fleet.deployment import Deployment, open_deployment
from fleet.failures import explained
from fleet.output import print_json, print_line
from ledger import CertificateState, Device


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
The device's current certificate is switched on again, unless it has expired; older certificates stay off.
JSON: name, state, reactivated (id of the certificate, or null)."""
    add_examples(parser, "zymkey-fleet unblock pi-1")


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    now = int(time.time())
    with explained(if_refused=SEE_ALL):
        device = deployment.ledger.unblock(arguments.name, by=deployment.operator, now=now)
    reactivated = _reactivate_current(device, now, deployment)
    if arguments.json:
        print_json({"name": device.name, "state": device.state, "reactivated": reactivated})
    else:
        print_line(f"{device.name} is {device.state} again{'; its certificate is switched on' if reactivated else ''}.")
    return 0


def _reactivate_current(device: Device, now: int, deployment: Deployment) -> str | None:
    if device.certificate_id is None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.certificate_id)
    if certificate is None or certificate.state is not CertificateState.DEACTIVATED or certificate.not_after <= now:
        return None
    reactivate(certificate, deployment)
    return certificate.certificate_id
