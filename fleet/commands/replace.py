"""``zymkey-fleet replace``: let another HSM take over a device's name, and block the one that has it.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem, Query,
UpdateItem, iot:UpdateCertificate.
"""

import argparse
import time
from typing import Any

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_device, add_examples, duration
from fleet.cards import Card, Cards, add_cards, open_cards
from fleet.certificates import deactivate_former
from fleet.cures import if_not_replaced
from fleet.deployment import Deployment, open_deployment
from fleet.errors import UsageError
from fleet.failures import explained
from fleet.many import DRY_RUN, Done, Many, existing, foreseen
from fleet.output import iso, note, print_json, print_line
from fleet.public_key import fingerprint_of
from ledger import IN_USE, Device
from ledger.token import new_token, token_hash

REPLACED = Many(columns=("name", "state", "replacedKey", "fingerprint", "token", "expires", "deactivated", "command"))
ON_CARD = Many(columns=("name", "state", "replacedKey", "fingerprint", "expires", "deactivated", "card"))


def configure(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the key of the new HSM, which then needs no token: a PEM file with the public key, a CSR or a "
        "certificate; or a fingerprint, SHA256:…",
    )
    parser.add_argument(
        "--expires",
        metavar="TIME",
        type=duration,
        help="how long the token is valid, such as 90m, 24h or 7d (default: 24h)",
    )
    add_cards(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = """\
For a board that is broken, or a Zymkey that is exchanged: the name stays, with its thing, shadow, attributes, groups
and history. In the same step the old key is blocked: it gets no certificate any more, and its certificates become
INACTIVE in AWS IoT. Without --key this prints the one command to run on the new board and, on a line of its own, the
token to paste, as `invite` does. That also works on the old SD card, whose certificate belongs to the old key.
A replaced key stays blocked, whatever token it shows; `allow OTHER --key KEY` lets it in under another name, and
`replace NAME --key KEY` under its own again.
After an interruption, run the command again: a new token takes the place of the one before. Once the new HSM has come,
the command blocks that one; `audit --fix` switches off what an interruption has left on.
JSON: name, state, replacedKey (the fingerprint of the key that was blocked, or null), fingerprint (of --key), token,
expires, deactivated (ids of the certificates that are off), command; with --cards card in place of token and command;
with --dry-run a list of name, state, would, reason."""
    add_examples(
        parser,
        "zymkey-fleet replace pi-1",
        "zymkey-fleet replace pi-1 --expires 7d --cards cards",
        "zymkey-fleet replace pi-1 --key SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.key is not None and arguments.expires is not None:
        raise UsageError("A key that is let in by its fingerprint needs no token.", cure="give --key or --expires")
    key = None if arguments.key is None else fingerprint_of(arguments.key)
    deployment = open_deployment(arguments)
    name = arguments.name
    if arguments.dry_run:
        return DRY_RUN.run([name], lambda name: _foresee(name, key, deployment), arguments)
    lasts = 86_400 if arguments.expires is None else arguments.expires
    deployment.prepare("ledger", "iot", "operator")
    with open_cards(arguments.cards) as cards:
        if not arguments.csv and cards is None:
            return _one(_replace(name, key, lasts, deployment), deployment, as_json=arguments.json)
        many = REPLACED if cards is None else ON_CARD

        def replace(name: str) -> Done:
            if cards is not None:
                cards.read(name)  # refuses another device's, before anything is done
            return _done(_replace(name, key, lasts, deployment), cards, deployment)

        return many.run([name], replace, arguments)


def _replace(name: str, key: str | None, lasts: int, deployment: Deployment) -> dict[str, Any]:
    """Let the new key in, and switch the old one's certificates off; returns the record of both. It can be repeated."""
    ledger, now, token = deployment.ledger, int(time.time()), new_token()
    before = ledger.device(name)
    with explained(if_refused=lambda: if_not_replaced(name, key, ledger)):
        if key is not None:
            device = ledger.replace_by_key(name, fingerprint=key, by=deployment.operator, now=now)
        else:
            hashed = token_hash(token)
            device = ledger.replace_by_token(
                name, token_hash=hashed, token_expires=now + lasts, by=deployment.operator, now=now
            )
    old = before.fingerprint if before else None
    return {
        "name": name,
        "state": device.state,
        "replacedKey": None if old == key else old,
        "fingerprint": key,
        "token": None if key else token,
        "expires": iso(device.token_expires),
        "deactivated": deactivate_former(device, deployment),
        "command": deployment.bootstrap_command(name) + ("" if key else " --token-file -"),
    }


def _one(record: dict[str, Any], deployment: Deployment, *, as_json: bool) -> int:
    if as_json:
        print_json(record)
        return 0
    blocked = f"The key {record['replacedKey']} is blocked" if record["replacedKey"] else "No other key is blocked"
    note(f"{blocked}; certificates switched off: {len(record['deactivated'])}.")
    if record["fingerprint"]:
        print_line(f"The key {record['fingerprint']} takes over {record['name']}:")
        print_line(record["command"])
        return 0
    note(f"Run this on the new Raspberry Pi before {record['expires']}, as root, or with sudo in front of it:")
    print_line(record["command"])
    note("It asks for this token, which works once:")
    print_line(record["token"])
    return 0


def _done(record: dict[str, Any], cards: Cards | None, deployment: Deployment) -> Done:
    off = f"certificates switched off: {len(record['deactivated'])}"
    if cards is None:
        return Done(record=record, what="replaced", detail=[off])
    name = record["name"]
    cards.write(Card(url=deployment.url, name=name, token=record["token"], expires=record["expires"]))
    kept = {name: value for name, value in record.items() if name not in ("token", "command")}
    return Done(record=kept | {"card": str(cards.path(name))}, what="replaced", detail=[off])


def _foresee(name: str, key: str | None, deployment: Deployment) -> Done:
    ledger = deployment.ledger
    device: Device = existing(name, deployment)
    with explained(if_refused=lambda: if_not_replaced(name, key, ledger)):
        is_news = ledger.would_replace(name, fingerprint=key)
    if not is_news:
        return foreseen(device, None, otherwise="replaced already")
    steps = [f"block the key {device.fingerprint}"] if device.fingerprint else []
    on = sum(each.state in IN_USE for each in ledger.certificates(name))
    steps += [f"switch off its certificates: {on}"] if on else []
    steps += [f"let the key {key} in" if key else "let in the first key that shows a new token"]
    return foreseen(device, ", ".join(steps))
