"""``zymkey-fleet remove``: remove devices, so that their names and their keys are free again.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, Query, DeleteItem; with a
filter also those of ``list``.
"""

import argparse
import time

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples
from fleet.cures import free_first, if_not_removed
from fleet.deployment import Deployment, open_deployment
from fleet.errors import Refused
from fleet.failures import explained
from fleet.many import DRY_RUN, Done, Many, existing, foreseen, is_alone
from fleet.output import print_json, print_line
from fleet.selection import add_selection, confirm, selected
from ledger import Device, WrongState

MANY = Many(columns=("name", "removed"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, doing="remove")
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
A device that has enrolled must be blocked first, so that none of its certificates stays in use. Its certificates and
its history are kept: `zymkey-fleet history NAME`. Its thing stays in AWS IoT, with the fleet's mark, attributes and
groups, and with its certificates, which are INACTIVE: a device that gets this name later gets this thing. If it is to
go: detach what `aws iot list-thing-principals --thing-name=NAME` lists with `aws iot detach-thing-principal`, then
`aws iot delete-thing --thing-name=NAME`.
After an interruption, run the command again: of several devices, one that was removed before is none that failed.
JSON: name, removed; of several devices a list, with reason (null, or why not); with --dry-run a list of name, state,
would, reason."""
    add_examples(
        parser,
        "zymkey-fleet block pi-1",
        "zymkey-fleet remove pi-1",
        "zymkey-fleet remove --state blocked --not-seen-for 90d --dry-run",
        "zymkey-fleet remove --from scrapped.csv",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    selection = selected(arguments, deployment)
    if is_alone(selection, arguments):
        return _one(selection.names[0], arguments, deployment)
    confirm(selection, arguments, doing="remove")
    deployment.prepare("ledger")
    if arguments.dry_run:
        return DRY_RUN.run(selection.names, lambda name: _foresee(name, deployment), arguments)
    deployment.prepare("operator")
    return MANY.run(selection.names, lambda name: _remove(name, deployment), arguments)


def _one(name: str, arguments: argparse.Namespace, deployment: Deployment) -> int:
    ledger = deployment.ledger
    with explained(if_refused=lambda: if_not_removed(name, ledger)):
        ledger.remove(name, by=deployment.operator, now=int(time.time()))
    if arguments.json:
        print_json({"name": name, "removed": True})
    else:
        print_line(f"{name} is removed; its name and its key are free.")
    return 0


def _remove(name: str, deployment: Deployment) -> Done:
    ledger, record = deployment.ledger, {"name": name, "removed": True}
    with explained(if_refused=lambda: if_not_removed(name, ledger)):
        try:
            ledger.remove(name, by=deployment.operator, now=int(time.time()))
        except WrongState:
            if not _was_removed(name, deployment):
                raise
            return Done(record=record, what="removed before", detail=["its name and its key are free"])
    return Done(record=record, what="removed", detail=["its name and its key are free"])


def _was_removed(name: str, deployment: Deployment) -> bool:
    """Whether there was such a device: its history outlives it."""
    if deployment.ledger.device(name) is not None:
        return False
    history = deployment.ledger.history(name)
    return bool(history) and history[-1].what == "removed"


def _foresee(name: str, deployment: Deployment) -> Done:
    if _was_removed(name, deployment):
        return Done(
            record={"name": name, "state": "removed", "would": None}, what="would stay", detail=["removed before"]
        )
    device: Device = existing(name, deployment)
    why_not = deployment.ledger.why_not_removed(device)
    if why_not is not None:
        raise Refused(why_not, cure=free_first(name))
    return foreseen(device, "remove it")
