"""``zymkey-fleet backup``: write the whole ledger into a file.

AWS actions: cloudformation:DescribeStacks, dynamodb:Scan.
"""

import argparse
import time
from pathlib import Path

from fleet import backup_file
from fleet.arguments import add_deployment, add_examples, add_json
from fleet.deployment import open_deployment, patient
from fleet.output import iso, print_json, print_line
from fleet.progress import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a new file; it is written as a whole or not at all")
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
JSON lines: devices, keys, certificates and history, the CAs in KMS, and what waits. No secret is in it: a token is
there as the ledger has it, as a hash. Who may read it learns the names of all devices, so the file is its owner's
alone. A device that changes while the ledger is read is in it as it was before or after.
DynamoDB keeps each moment of the last 35 days besides (point-in-time recovery, which every deployment has): this file
is for the day on which the account, the Region or the table itself is gone. `restore FILE` brings it back.
JSON: file, items, sha256."""
    add_examples(
        parser,
        "zymkey-fleet backup ledger-$(date +%F).jsonl",
        "zymkey-fleet backup --json /mnt/vault/ledger.jsonl",
    )


def run(arguments: argparse.Namespace) -> int:
    deployment = patient(open_deployment(arguments))
    outputs = deployment.outputs
    header = backup_file.Header(
        fleet=outputs.fleet,
        region=deployment.session.client("dynamodb").meta.region_name,
        table=outputs.ledger_table,
        at=iso(int(time.time())) or "",
    )
    with Progress("items read", total=None, wanted=not arguments.json) as progress:
        backup_file.write(arguments.file, header, deployment.ledger.copied(), wrote=progress.advance)
    backup = backup_file.read(arguments.file)  # what cannot be read back is no backup
    if arguments.json:
        print_json({"file": str(arguments.file), "items": backup.items, "sha256": backup.digest})
    else:
        print_line(f"{arguments.file} has {backup.items} items of the ledger of the fleet {outputs.fleet}.")
    return 0
