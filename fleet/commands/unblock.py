"""``zymkey-fleet unblock``: let blocked devices in again.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:ConditionCheckItem, GetItem, PutItem,
UpdateItem, iot:UpdateCertificate; with a filter also those of ``list``.
"""

import argparse
import time

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples
from fleet.certificates import reactivate
from fleet.cures import SEE_ALL
from fleet.deployment import Deployment, open_deployment
from fleet.failures import explained
from fleet.many import DRY_RUN, Done, Many, existing, foreseen, is_alone
from fleet.output import print_json, print_line
from fleet.pace import add_rate, keep_pace
from fleet.selection import add_selection, confirm, selected
from ledger import Certificate, CertificateState, Device, State

MANY = Many(columns=("name", "state", "reactivated"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, doing="unblock")
    add_rate(parser)
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
A device's current certificate is switched on again, unless it has expired; older certificates stay off. After an
interruption, run the command again.
JSON: name, state, reactivated (id of the certificate, or null); of several devices a list, with reason (null, or why
not); with --dry-run a list of name, state, would, reason."""
    add_examples(
        parser,
        "zymkey-fleet unblock pi-1",
        "zymkey-fleet unblock --from found.txt",
        "zymkey-fleet unblock --state blocked --prefix hall-7- --dry-run",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    selection = selected(arguments, deployment)
    if is_alone(selection, arguments):
        return _one(selection.names[0], arguments, deployment)
    confirm(selection, arguments, doing="unblock")
    if arguments.dry_run:
        deployment.prepare("ledger")
        return DRY_RUN.run(selection.names, lambda name: _foresee(name, deployment), arguments)
    deployment.prepare("ledger", "iot", "operator")
    keep_pace(deployment.iot, "UpdateCertificate", arguments.rate)

    def unblock(name: str) -> Done:
        with explained(if_refused=SEE_ALL):
            device, reactivated = _unblock(name, deployment)
        record = {"name": device.name, "state": device.state, "reactivated": reactivated}
        detail = f"{device.state}{', its certificate is switched on' if reactivated else ''}"
        return Done(record=record, what="unblocked", detail=[detail])

    return MANY.run(selection.names, unblock, arguments)


def _one(name: str, arguments: argparse.Namespace, deployment: Deployment) -> int:
    with explained(if_refused=SEE_ALL):
        device, reactivated = _unblock(name, deployment)
    if arguments.json:
        print_json({"name": device.name, "state": device.state, "reactivated": reactivated})
    else:
        print_line(f"{device.name} is {device.state} again{'; its certificate is switched on' if reactivated else ''}.")
    return 0


def _unblock(name: str, deployment: Deployment) -> tuple[Device, str | None]:
    """Unblock a device; returns it, and the id of its certificate if that was switched on."""
    now = int(time.time())
    device = deployment.ledger.unblock(name, by=deployment.operator, now=now)
    certificate = _switched_off(device, now, deployment)
    if certificate is None:
        return device, None
    reactivate(certificate, deployment)
    return device, certificate.certificate_id


def _switched_off(device: Device, now: int, deployment: Deployment) -> Certificate | None:
    """Its current certificate, if that is off and can be switched on."""
    if device.certificate_id is None:
        return None
    certificate = deployment.ledger.certificate(device.name, device.certificate_id)
    if certificate is None or certificate.state is not CertificateState.DEACTIVATED or certificate.not_after <= now:
        return None
    return certificate


def _foresee(name: str, deployment: Deployment) -> Done:
    device = existing(name, deployment)
    steps = ["unblock it"] if device.state is State.BLOCKED else []
    steps += ["switch on its certificate"] if _switched_off(device, int(time.time()), deployment) else []
    return foreseen(device, ", ".join(steps) or None, otherwise="not blocked")
