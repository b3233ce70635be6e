"""python -m sandbox start|stop|status|demo: the cloud on this machine."""

import argparse
import sys

from pki.issuers import ISSUERS, KMS

from . import lifecycle
from .addresses import Addresses
from .demo import run_demo
from .errors import SandboxError


def main() -> int:
    arguments = _parser().parse_args()
    try:
        addresses = Addresses.from_environment()
        match arguments.command:
            case "start":
                sandbox = lifecycle.start(addresses, arguments.issuer, print)
                print(f"The sandbox runs. Use it with: . {sandbox.environment_file}")
            case "stop":
                print("The sandbox has ended." if lifecycle.stop(addresses, print) else "No sandbox was running.")
            case "demo":
                return 0 if run_demo(addresses, arguments.issuer) else 1
            case "status":
                return _show_status(addresses)
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command again goes on; `make sandbox-stop` ends what runs.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start what does not run, deploy what is not deployed")
    demo = commands.add_parser("demo", help="start, then take a new device from invitation to publish")
    for command in (start, demo):
        help_text = "who signs certificates (default: %(default)s)"
        command.add_argument("--issuer", choices=ISSUERS, default=KMS, help=help_text)
    commands.add_parser("stop", help="end everything that start began")
    commands.add_parser("status", help="show what runs; exit code 1 unless all of it does")
    return parser


def _show_status(addresses: Addresses) -> int:
    parts = lifecycle.status(addresses)
    for name, state in parts.items():
        print(f"{name + ':':15} {state or 'none'}")
    return 0 if all(parts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
