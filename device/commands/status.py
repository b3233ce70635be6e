"""Show this device's name, key and certificate, and how long the certificate is valid.

It uses no network and costs no signature.

Exit codes: 0 certificate and key can be used now. 12 the certificate cannot be used. 3 the key cannot be used.
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
    from ..cures import for_state
    from ..settings import load
    from ..status import read_status
    from ..text import printable

    status = read_status(load(arguments))
    if arguments.json:
        print(json.dumps({"ok": status.exit_code == 0, **status.document()}, indent=2))
    else:
        for label, value in status.lines():
            print(f"{label:<12} {printable(for_state(value, arguments.state))}")
    return status.exit_code
