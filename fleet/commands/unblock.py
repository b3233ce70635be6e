"""``zymkey-fleet unblock``: let a blocked device be what it was.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:ConditionCheckItem, GetItem, PutItem,
UpdateItem, iot:UpdateCertificate.
"""

import argparse
import time

from fleet.arguments import deployment_options, device_argument, json_option
from fleet.certificates import reactivate
from fleet.deployment import Deployment, open_deployment
from fleet.output import print_json
from ledger import CertificateState, Device


def arguments(parser: argparse.ArgumentParser) -> None:
    device_argument(parser)
    json_option(parser)
    deployment_options(parser)
    parser.epilog = """\
Its current certificate is switched on again, unless it has expired; older ones stay off.
JSON: name, state, reactivated (id of the certificate, or null)."""


def run(options: argparse.Namespace) -> int:
    deployment = open_deployment(options)
    now = int(time.time())
    device = deployment.ledger.unblock(options.name, by=deployment.operator, now=now)
    reactivated = _reactivate_current(device, now, deployment)
    if options.json:
        print_json({"name": device.name, "state": device.state, "reactivated": reactivated})
    else:
        print(f"{device.name} is {device.state} again{'; its certificate is switched on' if reactivated else ''}.")
    return 0


def _reactivate_current(device: Device, now: int, deployment: Deployment) -> str | None:
    if device.certificate_id is None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.certificate_id)
    if certificate is None or certificate.state is not CertificateState.DEACTIVATED or certificate.not_after <= now:
        return None
    reactivate(certificate, deployment)
    return certificate.certificate_id
