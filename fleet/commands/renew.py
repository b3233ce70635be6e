"""``zymkey-fleet renew``: have devices get a new certificate, although theirs is not due, or has long expired.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem, UpdateItem, iot:Publish;
with a filter also those of ``list``.
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
from fleet.renewal_notices import RenewalNotices
from fleet.selection import add_selection, confirm, selected
from ledger import Device

MANY = Many(columns=("name", "state", "renewalAskedAt", "published"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, doing="renew")
    parser.add_argument(
        "--force",
        action="store_true",
        help="ask again where it was asked for before, and forget how many certificates the device has had today, so "
        "that the limit of a day (setting certificatesPerKeyAndDay) does not keep it from this one",
    )
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
The next request of the device's key is answered with a new certificate, once, also when its own has expired longer ago
than the setting expiredGraceDays allows. The old one stays in use until the new one has worked, and is superseded as by
every renewal. A device asks once a day by itself; one whose program subscribes to the renewal topic (docs/device.md)
hears of it at once, and `sudo zymkey-iot renew` on the device asks now. A device of an earlier release asks when its
certificate is due, at two thirds of its life.
JSON: name, state, renewalAskedAt, published (whether it was told so on its topic); of several devices a list, with
reason (null, or why not); with --dry-run a list of name, state, would, reason."""
    add_examples(
        parser,
        "zymkey-fleet renew pi-1",
        "zymkey-fleet renew pi-1 --force",
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
        return DRY_RUN.run(selection.names, lambda name: _foresee(name, arguments, deployment), arguments)
    deployment.prepare("operator")
    notices = RenewalNotices(deployment)

    def renew(name: str) -> Done:
        device = _ask(name, arguments, deployment)
        published = notices.publish(name)
        detail = "told to ask now" if published else "a new certificate when it asks, within a day"
        return Done(record=_record(device, published), what="asked for", detail=[detail])

    try:
        return MANY.run(selection.names, renew, arguments)
    finally:
        notices.sum_up()


def _one(name: str, arguments: argparse.Namespace, deployment: Deployment) -> int:
    device = _ask(name, arguments, deployment)
    notices = RenewalNotices(deployment)
    published = notices.publish(name)
    if arguments.json:
        print_json(_record(device, published))
    else:
        counted = " Its certificates of today are counted anew." if arguments.force else ""
        told = "It was told so, and asks at once if its program subscribes; else" if published else "It asks"
        print_line(
            f"{device.name} gets a new certificate at its next request.{counted} {told} within a day, or now with "
            "`sudo zymkey-iot renew` on the device."
        )
    notices.sum_up()
    return 0


def _ask(name: str, arguments: argparse.Namespace, deployment: Deployment) -> Device:
    with explained(if_refused=lambda: _cure(name, deployment)):
        return deployment.ledger.ask_for_renewal(
            name, by=deployment.operator, now=int(time.time()), force=arguments.force
        )


def _record(device: Device, published: bool) -> dict[str, str | bool | None]:
    return {
        "name": device.name,
        "state": device.state,
        "renewalAskedAt": iso(device.renew_asked_at),
        "published": published,
    }


def _cure(name: str, deployment: Deployment) -> str:
    return SEE_ALL if deployment.ledger.device(name) is None else f"zymkey-fleet show {positional(name)}"


def _foresee(name: str, arguments: argparse.Namespace, deployment: Deployment) -> Done:
    device = existing(name, deployment)
    why_not = deployment.ledger.why_not_renewed(device)
    if why_not is not None:
        raise Refused(why_not, cure=_cure(name, deployment))
    steps = []
    if device.renew_asked_at is None or arguments.force:
        steps.append("ask for its renewal" if device.renew_asked_at is None else "ask for its renewal again")
    if arguments.force and (count := device.issued_today(int(time.time()))):
        steps.append(f"forget its certificates of today: {count}")
    return foreseen(device, ", ".join(steps) or None, otherwise="asked for already")
