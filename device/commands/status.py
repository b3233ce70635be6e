"""Show what this device has, whose it is, and until when. Asks nobody and costs no signature.

Exit code 0 when the certificate can be used now, 12 when not, 3 when the key cannot be reached.
"""

import argparse
import json

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_key(parser)
    options.add_state(parser)
    options.add_json(parser)
    options.add_examples(parser, "sudo zymkey-iot status", "sudo zymkey-iot status --json | jq -r .notAfter")


def run(arguments: argparse.Namespace) -> int:
    from ..settings import load
    from ..status import read_status

    status = read_status(load(arguments))
    if arguments.json:
        print(json.dumps({"ok": status.exit_code == 0, **status.document()}, indent=2))
    else:
        for label, value in status.lines():
            print(f"{label:<12} {value}")
    return status.exit_code
