"""``zymkey-fleet remove``: remove devices with all that they have in AWS IoT, so that names and keys are free again.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:ConditionCheckItem, DeleteItem, GetItem,
PutItem, Query, UpdateItem, iot:DeleteCertificate, DeleteThing, DeleteThingShadow, DescribeCertificate, DescribeThing,
DetachPolicy, DetachThingPrincipal, ListAttachedPolicies, ListNamedShadowsForThing, ListPrincipalThings,
ListThingPrincipals, UpdateCertificate; with a filter also those of ``list``.
"""

import argparse
import time
from typing import Any

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples
from fleet.cures import free_first, if_not_removed
from fleet.departure import depart, leftovers
from fleet.deployment import Deployment, open_deployment
from fleet.errors import Refused
from fleet.failures import explained
from fleet.many import DRY_RUN, Done, Many, existing, foreseen, is_alone
from fleet.output import print_json, print_line
from fleet.pace import DELETE_CERTIFICATE, add_rate, keep_pace
from fleet.selection import add_selection, confirm, selected
from ledger import WrongState

MANY = Many(columns=("name", "removed", "certificatesDeleted", "thing", "kept"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, doing="remove")
    parser.add_argument("--keep-thing", action="store_true", help="leave the device's thing and its shadows in AWS IoT")
    add_rate(parser, DELETE_CERTIFICATE)
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
A device that has enrolled must be blocked first, so that none of its certificates stays in use. Then the ledger forgets
it, and its certificates, its shadows and its thing are deleted from AWS IoT; what the ledger knows of the certificates
is kept, and so is the history: `zymkey-fleet history NAME`. A thing that has not the fleet's mark, or to which a
certificate is attached that the ledger does not know, is kept, and the answer says why. With --keep-thing a device that
gets this name later gets this thing.
After an interruption, or when AWS IoT is slow to notice what was detached, run the command again: a device that was
removed before is none that failed, and what it has left in AWS IoT is deleted then.
JSON: name, removed, certificatesDeleted (ids), thing (deleted, kept, or null when there is none), kept (a list of what
is kept, and why); of several devices a list, with reason (null, or why not); with --dry-run a list of name, state,
would, reason."""
    add_examples(
        parser,
        "zymkey-fleet block pi-1",
        "zymkey-fleet remove pi-1",
        "zymkey-fleet remove pi-2 --keep-thing",
        "zymkey-fleet remove --state blocked --not-seen-for 90d --dry-run",
        "zymkey-fleet remove --from scrapped.csv",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    selection = selected(arguments, deployment)
    if is_alone(selection, arguments):
        done = _remove(selection.names[0], arguments, deployment)
        if arguments.json:
            print_json(done.record)
        else:
            print_line(f"{selection.names[0]} {_WAS[done.what]}: its name and its key are free; {done.detail[0]}.")
        return 0
    confirm(selection, arguments, doing="remove")
    deployment.prepare("ledger")
    if arguments.dry_run:
        return DRY_RUN.run(selection.names, lambda name: _foresee(name, arguments, deployment), arguments)
    deployment.prepare("operator", "iot", "iot_data")
    for operation in DELETE_CERTIFICATE.operations:
        keep_pace(deployment.iot, operation, arguments.rate)
    return MANY.run(selection.names, lambda name: _remove(name, arguments, deployment), arguments)


_WAS = {"removed": "is removed", "removed before": "was removed before"}


def _remove(name: str, arguments: argparse.Namespace, deployment: Deployment) -> Done:
    """The ledger first: its condition decides, and from then on what the device has in AWS IoT is nobody's."""
    ledger, what = deployment.ledger, "removed"
    with explained(if_refused=lambda: if_not_removed(name, ledger)):
        try:
            ledger.remove(name, by=deployment.operator, now=int(time.time()))
        except WrongState:
            if not _was_removed(name, deployment):
                raise
            what = "removed before"
    gone = depart(name, deployment, keep_thing=arguments.keep_thing)
    record: dict[str, Any] = {
        "name": name,
        "removed": True,
        "certificatesDeleted": gone.certificates,
        "thing": gone.thing,
        "kept": gone.kept,
    }
    thing = ["its thing is deleted"] if gone.thing == "deleted" else []
    kept = [f"kept: {reason}" for reason in gone.kept]
    detail = "; ".join([f"certificates deleted from AWS IoT: {len(gone.certificates)}", *thing, *kept])
    return Done(record=record, what=what, detail=[detail])


def _was_removed(name: str, deployment: Deployment) -> bool:
    """Whether there was such a device: its history outlives it."""
    if deployment.ledger.device(name) is not None:
        return False
    return any(each.what == "removed" for each in deployment.ledger.history(name))


def _foresee(name: str, arguments: argparse.Namespace, deployment: Deployment) -> Done:
    was_removed = _was_removed(name, deployment)
    steps = [] if was_removed else ["remove it"]
    device = None if was_removed else existing(name, deployment)
    if device is not None:
        why_not = deployment.ledger.why_not_removed(device)
        if why_not is not None:
            raise Refused(why_not, cure=free_first(name))
    if certificates := leftovers(name, deployment):
        steps.append(f"delete its certificates: {len(certificates)}")
        steps += [] if arguments.keep_thing else ["delete its thing, if it is the fleet's"]
    would = ", ".join(steps) or None
    if device is not None:
        return foreseen(device, would)
    record = {"name": name, "state": "removed", "would": would}
    return Done(record=record, what="would change" if would else "would stay", detail=[would or "removed before"])
