"""Options that several commands share. They have no defaults here: ``settings`` looks in five places."""

import argparse


def add_examples(parser: argparse.ArgumentParser, *examples: str) -> None:
    parser.epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, for errors too")


def add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", metavar="URI", help="the key: zymkey: (default), zymkey:slot=N, pkcs11:…, engine:ID, file:PATH"
    )


def add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", metavar="DIR", help="state folder (default /var/lib/zymkey-iot)")


def add_connection(command: argparse.ArgumentParser) -> None:
    """Which data endpoint to use instead of the cloud's, which roots to trust, and which proxy to take."""
    parser = command.add_argument_group(
        "connection",
        "A bootstrap that works keeps these for every later run, the timer's too; status shows them. An empty value"
        " ('') takes one back.",
    )
    parser.add_argument("--ca-file", metavar="FILE", help="trust the roots in this file (PEM) instead of certifi's")
    parser.add_argument(
        "--tls",
        metavar="WAY",
        help="who does TLS: signer (this process), curl (with an OpenSSL engine), auto (default)",
    )
    parser.add_argument(
        "--endpoint", metavar="HOST", help="data endpoint to use instead of the one in the configuration"
    )
    parser.add_argument("--https-port", metavar="N", help="HTTPS port of the data endpoint (8443, or else 443)")
    parser.add_argument("--mqtt-port", metavar="N", help="MQTT port of the data endpoint (8883, or else 443)")
    parser.add_argument(
        "--proxy", metavar="URL", help="HTTP or SOCKS proxy for every connection but MQTT's; '' for none (HTTPS_PROXY)"
    )
    parser.add_argument(
        "--no-proxy", metavar="HOSTS", help="hosts, domains, and networks to reach without the proxy (NO_PROXY)"
    )


def add_give_up_after(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--give-up-after", metavar="TIME", help="stop trying again after this time, such as 300s, 10m, 2h"
    )
