"""Print a configuration or a program with which another client uses this device's key.

The text works for this device as it is printed, and has no secret in it. If a client cannot use this kind of key, the
command says so and names a client that can.
"""

import argparse

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    from ..clients import CLIENTS

    parser.add_argument("client", metavar="CLIENT", choices=CLIENTS, help="one of the clients below")
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_examples(
        parser,
        "sudo zymkey-iot config paho > hello.py",
        "sudo zymkey-iot config mosquitto",
        "sudo zymkey-iot config aws-sdk --key 'pkcs11:token=zymkey;object=device'",
    )
    listed = [f"  {name:<12} {about}" for name, about in CLIENTS.items()]
    parser.epilog = "\n".join([parser.epilog or "", "", "clients:", *listed])


def run(arguments: argparse.Namespace) -> int:
    from importlib import import_module

    from ..clients.setup import read_setup
    from ..settings import load

    module = import_module(f"..clients.{arguments.client.replace('-', '_')}", __package__)
    print(module.render(read_setup(load(arguments))), end="")
    return 0
