"""``zymkey-fleet restore``: bring a ledger back from a backup.

AWS actions: cloudformation:DescribeStacks, dynamodb:DescribeTable, Scan, GetItem, PutItem, DeleteItem; where the table
is gone also CreateTable, UpdateContinuousBackups, DescribeTimeToLive, UpdateTimeToLive.
An administrator has them: no policy of the deployment lets a person write CAs, or make tables.
"""

import argparse
from pathlib import Path
from typing import Any

from fleet import backup_file, lost_table
from fleet.arguments import add_deployment, add_examples, add_json
from fleet.deployment import Deployment, open_deployment, patient
from fleet.errors import NotPermitted, Refused
from fleet.failures import explained
from fleet.output import note, print_json, print_line
from fleet.progress import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="what `zymkey-fleet backup` has written")
    parser.add_argument("--dry-run", action="store_true", help="read the file, look at the ledger, change nothing")
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
Into the deployment's own ledger, which has to be without devices. Where its table is gone, it is made again under the
same name, so that nothing has to be deployed. The whole file is checked before anything is written; what is there
already stays as it is. After an interruption, run the same command again.
Devices notice nothing: they connect to AWS IoT without the ledger, and renew by it. What happened after the backup is
not in it: run `zymkey-fleet audit` afterwards, which finds devices that have renewed or enrolled since.
Where the table was lost within the last 35 days, DynamoDB itself has more of it: docs/operator.md, "The ledger is
lost", says when to take which.
JSON: file, items, written, tableMade; with --dry-run written and tableMade say what would be."""
    add_examples(
        parser, "zymkey-fleet restore ledger-2026-11-26.jsonl --dry-run", "zymkey-fleet restore ledger-2026-11-26.jsonl"
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        with explained():
            return _run(arguments)
    except NotPermitted as error:
        raise NotPermitted(error.cause, cure="use an administrator's credentials: choose with --profile") from None


def _run(arguments: argparse.Namespace) -> int:
    backup = backup_file.read(arguments.file)
    deployment = patient(open_deployment(arguments))
    _refuse_another_fleets(backup, deployment)
    client, table = deployment.session.client("dynamodb"), deployment.outputs.ledger_table
    is_lost = not lost_table.exists(client, table)
    written = backup.items
    if not arguments.dry_run:
        if is_lost:
            lost_table.make(client, table)
        else:
            lost_table.finish(client, table)
        written = _put_back(backup, deployment, wanted=not arguments.json)
    elif not is_lost:
        deployment.ledger.refuse_to_put_back(backup.digest)
    if arguments.json:
        document = {"file": str(arguments.file), "items": backup.items, "written": written, "tableMade": is_lost}
        print_json(document)
    elif arguments.dry_run:
        print_line(f"{backup.items} items of {backup.header.at} would be written into the ledger {table}.")
        if is_lost:
            note(f"The table {table} is gone, and would be made again.")
    else:
        there = backup.items - written
        print_line(f"The ledger {table} has the {backup.items} items of {backup.header.at} again.")
        if is_lost:
            note("Its table was gone, and was made again, with point-in-time recovery and deletion protection.")
        if there:
            note(f"{there} were there already, and stayed as they were.")
        note("See what has happened since the backup: zymkey-fleet audit")
    return 0


def _put_back(backup: backup_file.Backup, deployment: Deployment, *, wanted: bool) -> int:
    ledger = deployment.ledger
    ledger.begin_putting_back(backup.digest)
    written = 0
    with Progress("items", total=backup.items, wanted=wanted) as progress:
        for new in ledger.put_back(_counted(backup, progress)):
            written += new
    ledger.end_putting_back()
    return written


def _counted(backup: backup_file.Backup, progress: Progress) -> Any:
    for item in backup:
        yield item
        progress.advance(1)


def _refuse_another_fleets(backup: backup_file.Backup, deployment: Deployment) -> None:
    if backup.header.fleet != deployment.outputs.fleet:
        raise Refused(
            f"The backup is of the fleet {backup.header.fleet!r}, and the deployment is {deployment.outputs.fleet!r}.",
            cure="choose the deployment with --fleet, or another file",
        )
