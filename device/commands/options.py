"""Options that several commands share. They have no defaults here: ``settings`` looks in five places."""

import argparse
from collections.abc import Sequence


def add_examples(parser: argparse.ArgumentParser, *examples: str) -> None:
    parser.epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)


def add_json(parser: argparse._ActionsContainer) -> None:
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
    _add_trust(parser)
    parser.add_argument(
        "--endpoint", metavar="HOST", help="data endpoint to use instead of the one in the configuration"
    )
    parser.add_argument("--https-port", metavar="N", help="HTTPS port of the data endpoint (8443, or else 443)")
    parser.add_argument("--mqtt-port", metavar="N", help="MQTT port of the data endpoint (8883, or else 443)")
    _add_proxy(parser)


def add_credential_connection(command: argparse.ArgumentParser) -> None:
    """Which credential provider to use instead of the cloud's, which roots to trust, and which proxy to take."""
    parser = command.add_argument_group("connection", "What a bootstrap has kept of these needs no option.")
    _add_trust(parser)
    parser.add_argument(
        "--credential-endpoint",
        metavar="HOST",
        help="credential provider to use instead of the one in the configuration; HOST:PORT if its port is not 443",
    )
    _add_proxy(parser)


def _add_trust(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--ca-file", metavar="FILE", help="trust the roots in this file (PEM) instead of certifi's")
    parser.add_argument(
        "--tls",
        metavar="WAY",
        help="who does TLS: signer (this process), curl (with an OpenSSL engine), auto (default)",
    )


def _add_proxy(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--proxy", metavar="URL", help="HTTP or SOCKS proxy for every connection but MQTT's; '' for none (HTTPS_PROXY)"
    )
    parser.add_argument(
        "--no-proxy", metavar="HOSTS", help="hosts, domains, and networks to reach without the proxy (NO_PROXY)"
    )


def add_give_up_after(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--give-up-after", metavar="TIME", help="stop trying again after this time, such as 300s, 10m, 2h; or never"
    )


def add_unattended(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--unattended", action="store_const", const="true", help=f"as a service: {what}")


def joined(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """``--token -abc`` as ``--token=-abc``: a token or a name may begin with ``-``, which argparse takes for an option.

    A word with two hyphens stays what it is: an option that somebody has mistyped.
    """
    actions = parser._actions
    known = {name for action in actions for name in action.option_strings}
    with_value = {name for action in actions if action.nargs is None for name in action.option_strings}
    done: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return [*done, word, *words]
        if word.startswith("--") and word.endswith("=--"):
            parser.error(f"argument {word[:-3]}: -- is no value")  # argparse makes a list of it
        if done and done[-1] in with_value and _is_value(word, known):
            done[-1] += f"={word}"
        else:
            done.append(word)
    return done


def _is_value(word: str, options: set[str]) -> bool:
    return len(word) > 1 and word[0] == "-" and word[1] != "-" and word not in options
