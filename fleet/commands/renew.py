"""``zymkey-fleet renew``: have devices get a new certificate, although theirs is not due.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, UpdateItem; with a filter
also those of ``list``.
"""

import argparse
import time

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples
from fleet.cures import SEE_ALL, positional
from fleet.deployment import Deployment, open_deployment
from fleet.errors import Refused
from fleet.failures import explained
from fleet.many import DRY_RUN, Done, Many, existing, foreseen, is_alone
from fleet.output import iso, print_json, print_line
from fleet.selection import add_selection, confirm, selected
from ledger import Device

MANY = Many(columns=("name", "state", "renewalAskedAt"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, doing="renew")
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
The next request of the device's key is answered with a new certificate; the old one stays in use until the new one has
worked, and is superseded as by every renewal. The device does not learn of this by itself: its timer asks the cloud
when its certificate is due, at two thirds of its life. `sudo zymkey-iot renew` on the device asks at once.
JSON: name, state, renewalAskedAt; of several devices a list, with reason (null, or why not); with --dry-run a list of
name, state, would, reason."""
    add_examples(
        parser,
        "zymkey-fleet renew pi-1",
        "zymkey-fleet renew --state enrolled --expires-within 30d --dry-run",
        "zymkey-fleet renew --from names.txt",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = open_deployment(arguments)
    selection = selected(arguments, deployment)
    if is_alone(selection, arguments):
        return _one(selection.names[0], arguments, deployment)
    confirm(selection, arguments, doing="renew")
    deployment.prepare("ledger")
    if arguments.dry_run:
        return DRY_RUN.run(selection.names, lambda name: _foresee(name, deployment), arguments)
    deployment.prepare("operator")

    def renew(name: str) -> Done:
        device = _ask(name, deployment)
        return Done(record=_record(device), what="asked for", detail=["a new certificate at its next request"])

    return MANY.run(selection.names, renew, arguments)


def _one(name: str, arguments: argparse.Namespace, deployment: Deployment) -> int:
    device = _ask(name, deployment)
    if arguments.json:
        print_json(_record(device))
    else:
        print_line(
            f"{device.name} gets a new certificate at its next request; `sudo zymkey-iot renew` on the device asks now."
        )
    return 0


def _ask(name: str, deployment: Deployment) -> Device:
    with explained(if_refused=lambda: _cure(name, deployment)):
        return deployment.ledger.ask_for_renewal(name, by=deployment.operator, now=int(time.time()))


def _record(device: Device) -> dict[str, str | None]:
    return {"name": device.name, "state": device.state, "renewalAskedAt": iso(device.renew_asked_at)}


def _cure(name: str, deployment: Deployment) -> str:
    return SEE_ALL if deployment.ledger.device(name) is None else f"zymkey-fleet show {positional(name)}"


def _foresee(name: str, deployment: Deployment) -> Done:
    device = existing(name, deployment)
    why_not = deployment.ledger.why_not_renewed(device)
    if why_not is not None:
        raise Refused(why_not, cure=_cure(name, deployment))
    is_news = device.renew_asked_at is None
    return foreseen(device, "ask for its renewal" if is_news else None, otherwise="asked for already")
