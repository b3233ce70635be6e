"""Show the device's public key, its fingerprint, and the HSM that holds it. Nothing of that is secret."""

import argparse
import json

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_key(parser)
    options.add_state(parser)
    options.add_json(parser)
    options.add_examples(
        parser,
        "zymkey-iot key",
        "zymkey-iot key --key zymkey:slot=1 --json",
        "zymkey-iot key --json | jq -r .publicKey > pi-7.pem    (for: zymkey-fleet allow pi-7 --key pi-7.pem)",
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
    else:
        for label, value in {"key": key.uri, "fingerprint": key.fingerprint, **details}.items():
            print(f"{label:<12} {value}")
        print(public_key, end="")
    if key.warning:
        print(f"warning: {key.warning}", file=sys.stderr)
    return 0
