"""``zymkey-fleet export``: write the CSRs that wait for a signature into a folder.

AWS actions: cloudformation:DescribeStacks, dynamodb:GetItem, Query on the index ``listing``.
"""

import argparse
from pathlib import Path

from fleet.arguments import add_deployment, add_examples, add_json
from fleet.deployment import open_deployment
from fleet.files import write_public
from fleet.output import note, print_json, print_line
from fleet.waiting import waiting_csrs


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="made if it does not exist")
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
Writes one file for each device, NAME.csr, in PEM. Sign the CSRs with your CA's own tools: each certificate must have
the common name NAME and be valid for TLS clients. Then run `zymkey-fleet import DIR`.
JSON: a list of name, fingerprint, file."""
    add_examples(
        parser,
        "zymkey-fleet export to-sign",
        "openssl x509 -req -in to-sign/pi-1.csr -CA ca.crt -CAkey ca.key -days 365 -out to-sign/pi-1.crt",
        "zymkey-fleet import to-sign",
    )


def run(arguments: argparse.Namespace) -> int:
    written = []
    for device in waiting_csrs(open_deployment(arguments).ledger):
        file = arguments.folder / f"{device.name}.csr"
        write_public(file, (device.csr or "").encode())
        written.append({"name": device.name, "fingerprint": device.fingerprint, "file": str(file)})
    if arguments.json:
        print_json(written)
        return 0
    for each in written:
        print_line(str(each["file"]))
    if not written:
        note("No CSR waits for a signature.")
    return 0
