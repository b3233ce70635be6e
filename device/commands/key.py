"""Show the device's public key, its fingerprint, and the HSM that holds it. Nothing of that is secret."""

import argparse
import json
from typing import TYPE_CHECKING

from . import options

if TYPE_CHECKING:
    from ..settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_key(parser)
    parser.add_argument("--name", help="the device's name, for --csv (default: the settings', or this host's)")
    options.add_state(parser)
    form = parser.add_mutually_exclusive_group()
    options.add_json(form)
    form.add_argument(
        "--csv", action="store_true", help="print one line, NAME,FINGERPRINT: as zymkey-fleet allow --from reads it"
    )
    options.add_examples(
        parser,
        "zymkey-iot key",
        "zymkey-iot key --key zymkey:slot=1 --json",
        "zymkey-iot key --json | jq -r .publicKey > pi-7.pem    (for: zymkey-fleet allow pi-7 --key pi-7.pem)",
        "zymkey-iot key --csv --name pi-7 >> keys.csv    (on a jig; then: zymkey-fleet allow --from keys.csv)",
    )


def run(arguments: argparse.Namespace) -> int:
    import sys

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from ..keys import open_key
    from ..settings import load

    settings = load(arguments)
    key = open_key(settings)
    public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    details = key.details()
    if arguments.json:
        document = {
            "ok": True,
            "key": key.uri,
            "kind": key.kind,
            "fingerprint": key.fingerprint,
            "publicKey": public_key,
            **details,
        }
        print(json.dumps(document, indent=2))
    elif arguments.csv:
        _print_csv(settings, key.fingerprint)
    else:
        for label, value in {"key": key.uri, "fingerprint": key.fingerprint, **details}.items():
            print(f"{label:<12} {value}")
        print(public_key, end="")
    if key.warning:
        print(f"warning: {key.warning}", file=sys.stderr)
    return 0


def _print_csv(settings: "Settings", fingerprint: str) -> None:
    """One line without a header, so that the lines of many devices are one file."""
    import csv
    import sys

    from ..settings import HOST_NAME, tell_on_stderr

    csv.writer(sys.stdout, lineterminator="\n").writerow((settings.name, fingerprint))
    if settings.sources["name"] == HOST_NAME:
        tell_on_stderr(f"{settings.name} is this host's name, which a fleet can have once; --name gives another")
