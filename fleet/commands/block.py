"""``zymkey-fleet block``: keep devices out, and switch their certificates off.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, UpdateItem,
iot:UpdateCertificate; with a filter also those of ``list``.
"""

import argparse
import time

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples
from fleet.certificates import deactivate
from fleet.cures import SEE_ALL
from fleet.deployment import Deployment, open_deployment
from fleet.failures import explained
from fleet.many import DRY_RUN, Done, Many, existing, foreseen, is_alone
from fleet.output import print_json, print_line
from fleet.pace import add_rate, keep_pace
from fleet.selection import add_selection, confirm, selected
from ledger import Certificate, CertificateState, Device, State

MANY = Many(columns=("name", "state", "deactivated"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, doing="block")
    add_rate(parser)
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
A blocked device gets no new certificate, and its certificates become INACTIVE in AWS IoT; an open connection ends
within minutes. After an interruption, run the command again. `unblock` reverses it.
JSON: name, state, deactivated (ids of certificates); of several devices a list, with reason (null, or why not); with
--dry-run a list of name, state, would, reason."""
    add_examples(
        parser,
        "zymkey-fleet block pi-1",
        "zymkey-fleet block --from lost.txt --dry-run",
        "zymkey-fleet block --group hall-7 --yes",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    selection = selected(arguments, deployment)
    if is_alone(selection, arguments):
        return _one(selection.names[0], arguments, deployment)
    confirm(selection, arguments, doing="block")
    if arguments.dry_run:
        deployment.prepare("ledger")
        return DRY_RUN.run(selection.names, lambda name: _foresee(name, deployment), arguments)
    deployment.prepare("ledger", "iot", "operator")
    keep_pace(deployment.iot, "UpdateCertificate", arguments.rate)

    def block(name: str) -> Done:
        with explained(if_refused=SEE_ALL):
            device, deactivated = _block(name, deployment)
        record = {"name": device.name, "state": device.state, "deactivated": deactivated}
        return Done(record=record, what="blocked", detail=[f"certificates switched off: {len(deactivated)}"])

    return MANY.run(selection.names, block, arguments)


def _one(name: str, arguments: argparse.Namespace, deployment: Deployment) -> int:
    with explained(if_refused=SEE_ALL):
        device, deactivated = _block(name, deployment)
    if arguments.json:
        print_json({"name": device.name, "state": device.state, "deactivated": deactivated})
    else:
        print_line(f"{device.name} is blocked; certificates switched off: {len(deactivated)}.")
    return 0


def _block(name: str, deployment: Deployment) -> tuple[Device, list[str]]:
    """Block a device; returns it, and the ids of the certificates that were switched off."""
    # The ledger first: from then on no request of this device completes, so no other certificate becomes active.
    device = deployment.ledger.block(name, by=deployment.operator, now=int(time.time()))
    deactivated = []
    for certificate in _in_use(name, deployment):
        deactivate(certificate, deployment)
        deactivated.append(certificate.certificate_id)
    return device, deactivated


def _in_use(name: str, deployment: Deployment) -> list[Certificate]:
    certificates = deployment.ledger.certificates(name)
    return [each for each in certificates if each.state is not CertificateState.DEACTIVATED]


def _foresee(name: str, deployment: Deployment) -> Done:
    device = existing(name, deployment)
    count = len(_in_use(name, deployment))
    steps = ["block it"] if device.state is not State.BLOCKED else []
    steps += [f"switch off its certificates: {count}"] if count else []
    return foreseen(device, ", ".join(steps) or None, otherwise="blocked already")
