"""``zymkey-fleet invite``: let in the first key that shows a one-time token.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:GetItem, PutItem.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples, device_name, duration
from fleet.cards import Cards, add_cards
from fleet.deployment import Deployment, open_deployment
from fleet.device_list import FORMAT, DeviceList, ListedDevice, add_list, name_of, open_list
from fleet.invitations import Invitation, Invitations
from fleet.many import Done, Many
from fleet.output import iso, note, print_json, print_line
from fleet.things import ThingRules, add_thing_options, profile_of
from pki.names import DEVICE_NAME_RULE

PRINTED = Many(columns=("name", "token", "expires", "command"), heads=("NAME", "RESULT", "TOKEN", "EXPIRES"))
ON_CARDS = Many(columns=("name", "state", "expires", "card"), heads=("NAME", "RESULT", "EXPIRES", "CARD"))


def configure(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "names",
        metavar="NAME",
        type=device_name,
        nargs="*",
        default=[],
        help=f"the device's name: {DEVICE_NAME_RULE}; several are possible",
    )
    add_list(which)
    add_cards(parser)
    parser.add_argument(
        "--expires",
        metavar="TIME",
        type=duration,
        default="24h",
        help="how long the token is valid, such as 90m, 24h or 7d (default: %(default)s)",
    )
    add_thing_options(parser)
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = f"""\
Prints the one command to run on the Raspberry Pi and, on a line of its own, the token to paste when the command asks
for it: so it is in no shell's history and no list of processes. The token works once. A second invitation of the same
name replaces the token of the first, and without --attribute and --group keeps those of the first.
{FORMAT}
With --cards the tokens are on the cards alone: the same command again keeps the cards whose token still works, and
writes those that are missing or too old. Without, it makes new tokens, which replace those that it has printed.
JSON: name, token, expires, command; of several names and of --from a list of them, with reason, which says why there is
no token; with --cards: name, state, expires, card, reason."""
    add_examples(
        parser,
        "zymkey-fleet invite pi-1",
        "zymkey-fleet invite pi-1 --expires 7d",
        "zymkey-fleet invite pi-1 --attribute site=berlin --attribute hall=7 --group plant",
        "zymkey-fleet invite --from devices.csv --cards cards --expires 30d",
        "zymkey-fleet invite --from devices.csv --csv > tokens.csv",
    )


def run(arguments: argparse.Namespace) -> int:
    with _devices(arguments) as (devices, deployment):
        invitations = Invitations(deployment, lasts=arguments.expires)
        if len(arguments.names) == 1 and not arguments.csv and not arguments.cards:
            (device,) = devices
            return _print_one(device, invitations, deployment, as_json=arguments.json)
        if arguments.cards:
            with Cards(arguments.cards) as cards:
                return ON_CARDS.run(
                    devices, lambda device: _on_card(device, invitations, cards), arguments, called=name_of
                )
        if not arguments.json:
            note("Run this on each Raspberry Pi, as root, or with sudo in front of it:")
            note(_command("NAME", deployment))
            note("It asks for its token, which works once. The same command again makes new tokens in place of these.")
        return PRINTED.run(devices, lambda device: _printed(device, invitations, deployment), arguments, called=name_of)


@contextmanager
def _devices(arguments: argparse.Namespace) -> Iterator[tuple[list[ListedDevice] | DeviceList, Deployment]]:
    """Those that are named, or a list of which all has been checked."""
    if not arguments.list:
        deployment = open_deployment(arguments)
        profile = profile_of(arguments, deployment)
        names = dict.fromkeys(arguments.names)
        yield [ListedDevice(name=name, profile=profile) for name in names], deployment
        return
    with open_list(arguments.list) as file:
        deployment = open_deployment(arguments)
        profile, rules = profile_of(arguments, deployment), ThingRules.of(deployment)
        devices = DeviceList(file=file, source=arguments.list, with_keys=False, profile=profile, rules=rules)
        devices.check()
        yield devices, deployment


def _printed(device: ListedDevice, invitations: Invitations, deployment: Deployment) -> Done:
    invitation = invitations.new(device)
    record = _record(device, invitation, deployment)
    return Done(record=record, what="invited", detail=(invitation.token, iso(invitation.expires)))


def _on_card(device: ListedDevice, invitations: Invitations, cards: Cards) -> Done:
    found = invitations.on_card(device, cards)
    expires, path = iso(found.expires), str(cards.path(device.name))
    record = {"name": device.name, "state": str(found.state), "expires": expires, "card": path}
    kept = "card kept" if expires else f"{found.state} already"
    return Done(record=record, what="invited" if found.is_new else kept, detail=(expires, path))


def _print_one(device: ListedDevice, invitations: Invitations, deployment: Deployment, *, as_json: bool) -> int:
    record = _record(device, invitations.new(device), deployment)
    if as_json:
        print_json(record)
    else:
        note(f"Run this on the Raspberry Pi before {record['expires']}, as root, or with sudo in front of it:")
        print_line(record["command"])
        note("It asks for this token, which works once:")
        print_line(record["token"])
    return 0


def _record(device: ListedDevice, invitation: Invitation, deployment: Deployment) -> dict[str, str]:
    return {
        "name": device.name,
        "token": invitation.token,
        "expires": iso(invitation.expires) or "",
        "command": _command(device.name, deployment),
    }


def _command(name: str, deployment: Deployment) -> str:
    return f"{deployment.bootstrap_command(name)} --token-file -"
