"""``zymkey-fleet allow``: let one key in, without a secret.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem.
"""

import argparse
import time

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples, device_name
from fleet.cards import Card, Cards, add_cards, open_cards
from fleet.cures import if_key_is_refused, positional
from fleet.deployment import Deployment, open_deployment
from fleet.device_list import FORMAT, DeviceList, ListedDevice, add_list, name_of, open_list
from fleet.errors import UsageError
from fleet.failures import explained
from fleet.many import Done, Many
from fleet.output import print_json, print_line
from fleet.public_key import fingerprint_of
from fleet.things import ThingRules, add_thing_options, profile_of
from pki.names import DEVICE_NAME_RULE

ALLOWED = Many(columns=("name", "state", "fingerprint", "command"), heads=("NAME", "RESULT", "KEY"))
ON_CARDS = Many(columns=("name", "state", "fingerprint", "command", "card"), heads=("NAME", "RESULT", "KEY", "CARD"))


def configure(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "name", metavar="NAME", type=device_name, nargs="?", help=f"the device's name: {DEVICE_NAME_RULE}"
    )
    add_list(which)
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the key of NAME: a PEM file with the public key, a CSR or a certificate; or a fingerprint, SHA256:…",
    )
    add_cards(parser)
    add_thing_options(parser)
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = f"""\
`zymkey-iot key` shows the key on the device, and `zymkey-iot key --csv` prints the line that a list has of it. To allow
the same key under the same name again changes nothing, so a list can be allowed again; `zymkey-fleet set` changes
attributes and groups.
{FORMAT}
JSON: name, state, fingerprint, command; of --from a list of them, with reason, which says why a key is not allowed;
with --cards also card."""
    add_examples(
        parser,
        "zymkey-fleet allow pi-1 --key SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY",
        "zymkey-fleet allow pi-2 --key pi-2.csr --attribute site=berlin --group plant",
        "zymkey-iot key --csv --name pi-3 >> keys.csv    (on the Pi, or on a jig)",
        "zymkey-fleet allow --from keys.csv --attribute site=berlin --cards cards",
    )


def run(arguments: argparse.Namespace) -> int:
    if (arguments.name is None) != (arguments.key is None):
        raise UsageError(
            "NAME and --key KEY belong together; a list has a key in each line.", cure="give both, or --from FILE alone"
        )
    if arguments.list:
        return _allow_listed(arguments)
    fingerprint = fingerprint_of(arguments.key)
    deployment = open_deployment(arguments)
    device = ListedDevice(name=arguments.name, key=fingerprint, profile=profile_of(arguments, deployment))
    if arguments.csv or arguments.cards:
        return _allow_many([device], deployment, arguments)
    record = _allowed(device, deployment)
    if arguments.json:
        print_json(record)
    else:
        print_line(f"The key {fingerprint} may enroll as {device.name}:")
        print_line(record["command"])
    return 0


def _allow_listed(arguments: argparse.Namespace) -> int:
    with open_list(arguments.list) as file:
        deployment = open_deployment(arguments)
        profile, rules = profile_of(arguments, deployment), ThingRules.of(deployment)
        devices = DeviceList(file=file, source=arguments.list, with_keys=True, profile=profile, rules=rules)
        devices.check()
        return _allow_many(devices, deployment, arguments)


def _allow_many(devices: DeviceList | list[ListedDevice], deployment: Deployment, arguments: argparse.Namespace) -> int:
    deployment.prepare("ledger", "operator")
    with open_cards(arguments.cards) as cards:
        many = ON_CARDS if cards else ALLOWED
        return many.run(devices, lambda device: _done(device, deployment, cards), arguments, called=name_of)


def _done(device: ListedDevice, deployment: Deployment, cards: Cards | None) -> Done:
    record = _allowed(device, deployment)
    if cards is None:
        return Done(record=record, what="allowed", detail=(device.key,))
    card, path = Card(url=deployment.url, name=device.name), str(cards.path(device.name))
    if cards.read(device.name) != card.text:
        cards.write(card)
    return Done(record=record | {"card": path}, what="allowed", detail=(device.key, path))


def _allowed(device: ListedDevice, deployment: Deployment) -> dict[str, str]:
    """Let its key in. Doing it twice is doing it once.

    Raises:
        Refused: the key is another device's, or the name is another key's.
    """
    name, fingerprint, ledger = device.name, device.key or "", deployment.ledger
    then = f"allow --key {fingerprint} {positional(name)}"
    with explained(if_refused=lambda: if_key_is_refused(name, fingerprint, ledger, then=then)):
        ledger.allow(
            name,
            fingerprint=fingerprint,
            by=deployment.operator,
            now=int(time.time()),
            even_replaced=True,
            profile=device.profile,
        )
    command = deployment.bootstrap_command(name)
    return {"name": name, "state": "allowed", "fingerprint": fingerprint, "command": command}
