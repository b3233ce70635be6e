"""Options that several commands share. Defaults are not given here: `settings` has five places to look."""

import argparse


def add_examples(parser: argparse.ArgumentParser, *examples: str) -> None:
    parser.epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, errors too")


def add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="URI", help="zymkey: (default), zymkey:slot=N, pkcs11:…, engine:ID, file:PATH")


def add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", metavar="DIR", help="state folder (default /var/lib/zymkey-iot)")


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Where the data endpoint is, when it is not where the cloud says, and whom to trust."""
    parser.add_argument("--ca-file", metavar="FILE", help="trust these roots (PEM) and not certifi's")
    parser.add_argument(
        "--tls", metavar="WAY", help="signer (in this process), curl (with an OpenSSL engine), auto (default)"
    )
    parser.add_argument("--endpoint", metavar="HOST", help="data endpoint, other than the cloud says")
    parser.add_argument("--https-port", metavar="N", help="its HTTPS port (8443)")
    parser.add_argument("--mqtt-port", metavar="N", help="its MQTT port (8883)")


def add_give_up_after(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--give-up-after", metavar="TIME", help="stop trying again after this (300s, 10m, 2h)")
