"""``zymkey-fleet purge``: remove all that a destroyed deployment left in the account.

AWS actions: cloudformation:DescribeStacks, dynamodb:ListTables, DescribeTable, GetItem, Query, Scan, UpdateTable,
DeleteTable, iot:ListThings, DescribeThing, ListThingPrincipals, DeleteThing, ListNamedShadowsForThing,
DeleteThingShadow, DescribeCertificate, UpdateCertificate, ListPrincipalThings, DetachThingPrincipal,
ListAttachedPolicies, DetachPolicy, DeleteCertificate, ListPolicies, ListTargetsForPolicy, ListPolicyVersions,
DeletePolicyVersion, DeletePolicy, DescribeCACertificate, ListTagsForResource, UpdateCACertificate, DeleteCACertificate,
kms:DescribeKey, ScheduleKeyDeletion, iam:ListPolicies, ListEntitiesForPolicy, ListPolicyVersions, DeletePolicyVersion,
DeletePolicy.
An administrator has them: the fleet's own policies name a deployment that is not there.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fleet import backup_file, left_behind
from fleet.arguments import add_account, add_examples, add_fleet, add_json
from fleet.aws_session import AwsSession
from fleet.errors import NoDeployment, NotPermitted, Refused, UsageError
from fleet.failures import explained
from fleet.left_behind import LeftLedger
from fleet.output import iso, note, print_json, print_line, print_table
from fleet.progress import Progress
from fleet.purge import inventory as stock
from fleet.purge.inventory import Inventory
from fleet.purge.removal import Purge, Removed
from ledger import Ledger

STAYS = (
    "What stays: what `cdk bootstrap` made, with the functions' code in its bucket (some 40 MB for each release, less "
    "than 0.01 USD a month); AWS IoT's log group AWSIotLogsV2, if the setting iotLogging was used; and DynamoDB's last "
    "backup of the ledger, for 35 days, at no price."
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would go and what it costs, and do nothing")
    parser.add_argument(
        "--confirm", metavar="FLEET", help="the fleet's name once more, where there is no terminal to type it on"
    )
    backup = parser.add_mutually_exclusive_group()
    backup.add_argument("--backup", metavar="FILE", type=Path, help="first write the ledger into this new file")
    backup.add_argument("--no-backup", action="store_true", help="keep no copy of the ledger")
    parser.add_argument("--table", metavar="NAME", help="the ledger, where several were left")
    parser.add_argument(
        "--key-window",
        metavar="DAYS",
        type=int,
        choices=range(7, 31),
        default=30,
        help="how long KMS keeps the CAs' keys, from which their deletion can be cancelled: 7 to 30 (default: 30)",
    )
    add_json(parser)
    add_fleet(parser)
    add_account(parser)
    parser.epilog = """\
`cdk destroy --all` comes first, and leaves what devices in the field depend on. This removes the rest: certificates,
things and shadows of all devices, the IoT policy, the CAs' registrations, their keys in KMS (their deletion is
scheduled), the managed policies that nobody holds, and last the ledger. No device of the fleet can connect afterwards.
It finds all by the ledger and by the fleet's mark; nothing of another fleet or application is touched. What cannot go
is kept, and said why. After an interruption, run the same command again. To bring a deployment back instead: `adopt`.
The exit code is 1 while something is kept; the ledger is kept with it, since the next run finds the rest by it.
JSON: fleet, found (certificates, things, iotPolicies, caRegistrations, keys, managedPolicies, table, usdAMonth),
removed (how many of each; null with --dry-run), kept (why, a sentence each), stays."""
    add_examples(
        parser,
        "zymkey-fleet purge --dry-run",
        "zymkey-fleet purge --backup last.jsonl",
        "zymkey-fleet purge --fleet acme --confirm acme --no-backup",
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        with explained():
            return _run(arguments)
    except NotPermitted as error:
        raise NotPermitted(error.cause, cure="use an administrator's credentials: choose with --profile") from None


def _run(arguments: argparse.Namespace) -> int:
    fleet = arguments.fleet
    session = AwsSession(profile=arguments.profile, region=arguments.region).patient()
    _refuse_while_deployed(session, fleet)
    found = left_behind.ledgers(session, fleet, besides=())
    if not found:
        raise NoDeployment(
            f"No deployment of a fleet {fleet!r} has left a ledger in Region "
            f"{session.client('dynamodb').meta.region_name} of this account.",
            cure="choose another place with --fleet, --region and --profile",
        )
    inventory = stock.take(session, fleet, _chosen(found, arguments.table))
    if not arguments.json:
        _show(inventory)
    if arguments.dry_run:
        return _answer(inventory, None, arguments)
    _confirm(arguments)
    if arguments.backup is not None:
        _back_up(session, inventory, arguments.backup)
    pieces = len(inventory.certificates) + len(inventory.things) + len(inventory.people) + len(inventory.keys)
    with Progress("pieces", total=pieces, wanted=not arguments.json) as progress:
        removed = Purge(session, inventory, arguments.key_window, advanced=progress.advance).run()
    return _answer(inventory, removed, arguments)


def _refuse_while_deployed(session: AwsSession, fleet: str) -> None:
    stack = stock.stack_in_the_way(session, fleet)
    if stack is not None:
        raise Refused(
            f"The stack {stack} is there: the fleet {fleet!r} is deployed.",
            cure="cdk deploy --all -c zymkey-fleet.terminationProtection=false, then cdk destroy --all",
        )


def _chosen(found: Sequence[LeftLedger], table: str | None) -> LeftLedger:
    chosen = [each for each in found if table in (None, each.table)]
    if len(chosen) == 1:
        return chosen[0]
    described = "; ".join(f"{each.table} (made {iso(each.created_at)}, {len(each.devices)} devices)" for each in found)
    raise Refused(
        f"There are these ledgers: {described}.",
        cure="zymkey-fleet purge --table NAME, for each that is to go",
    )


def _confirm(arguments: argparse.Namespace) -> None:
    """The fleet's name has to be typed, and a decision about a backup taken."""
    if arguments.backup is None and not arguments.no_backup:
        raise UsageError(
            "It is not said whether the ledger is to be kept in a file.", cure="add --backup FILE, or --no-backup"
        )
    given = arguments.confirm
    if given is None:
        if arguments.json or sys.stdin is None or not sys.stdin.isatty():
            raise Refused(
                "There is no terminal on which the fleet's name could be typed.",
                cure=f"add --confirm {arguments.fleet}; --dry-run shows what would go",
            )
        note("No device of this fleet can connect after this. Type the fleet's name to go on:")
        given = sys.stdin.readline().strip()
    if given != arguments.fleet:
        raise Refused("That is not the fleet's name. Nothing was done.", cure="zymkey-fleet purge --dry-run")


def _back_up(session: AwsSession, inventory: Inventory, file: Path) -> None:
    header = backup_file.Header(
        fleet=inventory.fleet,
        region=session.client("dynamodb").meta.region_name,
        table=inventory.table,
        at=iso(int(time.time())) or "",
    )
    ledger = Ledger(client=session.client("dynamodb"), table=inventory.table)
    backup_file.write(file, header, ledger.copied(), wrote=lambda _: None)
    backup_file.read(file)


def _show(inventory: Inventory) -> None:
    found = inventory.document()
    rows: list[list[str | None]] = [
        ["certificates", str(found["certificates"])],
        ["things", str(found["things"])],
        *(["IoT policy", each] for each in found["iotPolicies"]),
        *(["CA registration", each] for each in found["caRegistrations"]),
        *(["key in KMS", each] for each in found["keys"]),
        *(["managed policy", each] for each in found["managedPolicies"]),
        ["ledger", inventory.table],
    ]
    print_table(["WHAT", "WHICH"], rows)
    note(f"While it stays, it costs {inventory.usd_a_month:.2f} USD a month.")


def _answer(inventory: Inventory, removed: Removed | None, arguments: argparse.Namespace) -> int:
    kept = [] if removed is None else removed.kept
    if arguments.json:
        print_json(
            {
                "fleet": inventory.fleet,
                "found": inventory.document(),
                "removed": None if removed is None else removed.counts,
                "kept": kept,
                "stays": STAYS,
            }
        )
    elif removed is None:
        print_line("Nothing was done: that is what would go.")
        note(STAYS)
    else:
        print_line("Removed: " + ", ".join(f"{count} {_WORDS[kind]}" for kind, count in removed.counts.items()) + ".")
        for each in kept:
            note(f"Kept: {each}.")
        if inventory.keys:
            note(
                f"The keys can be had back for {arguments.key_window} days: aws kms cancel-key-deletion --key-id ARN. "
                "They cost nothing until then."
            )
        note(STAYS)
    return 1 if kept else 0


_WORDS = {
    "certificates": "certificates",
    "things": "things",
    "iotPolicies": "IoT policies",
    "caRegistrations": "CA registrations",
    "keys": "keys",
    "managedPolicies": "managed policies",
    "tables": "ledger",
}
