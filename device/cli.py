"""The command `zymkey-iot`: finds the subcommand, runs it, and turns errors into exit codes.

A subcommand is a module in `commands/` with `configure(parser)` and `run(arguments) -> exit code`. It is
imported when it is asked for and not before: `--help` must not cost more than Python itself does.
"""

import sys
from collections.abc import Sequence

from . import __version__
from .errors import EXIT_CODES, DeviceError

COMMANDS = {
    "bootstrap": "get a certificate for the HSM's key, prove it with a publish, keep it",
    "publish": "publish one message over mutual TLS",
    "status": "show what the device has, whose it is, and until when",
    "renew": "get a new certificate for the same key",
    "wait": "keep asking until the operator has approved this device",
    "doctor": "find out what is wrong, from the HSM outwards, and what to do about it",
    "config": "print a configuration for another client that uses this key: paho, curl, mosquitto, …",
    "explain": "print the openssl and curl commands that do the same by hand",
    "service": "have systemd bootstrap at the first boot and renew: install, uninstall, status",
    "hooks": "run the hooks that a new certificate still waits for",
    "key": "show the public key, its fingerprint, and the HSM that holds it",
}

_ABOUT = """\
usage: zymkey-iot COMMAND [OPTIONS]

Gets this device onto AWS IoT with the key inside its hardware security module.

commands (each has --help with examples):
{commands}

settings, first one wins: options, environment, /etc/zymkey-iot.toml, /boot/firmware/zymkey-iot.toml,
what the last bootstrap used
  ENROLLMENT_URL   ZYMKEY_IOT_NAME   ZYMKEY_IOT_TOKEN   ZYMKEY_IOT_CERTIFICATE   ZYMKEY_IOT_KEY
  ZYMKEY_IOT_STATE   CA_BUNDLE   IOT_ENDPOINT   IOT_HTTPS_PORT   IOT_MQTT_PORT
  ZYMKEY_IOT_GIVE_UP_AFTER   ZYMKEY_IOT_TLS   ZYMKEY_IOT_ON_RENEW   ZYMKEY_IOT_PIN
  HTTPS_PROXY   NO_PROXY

exit codes:
{exit_codes}
"""


def about() -> str:
    """What `zymkey-iot --help` prints."""
    return _ABOUT.format(
        commands="\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items()),
        exit_codes="\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in ("-h", "--help", "help"):
        print(about(), end="")
        return 0
    if argv and argv[0] == "--version":
        print(f"zymkey-iot {__version__}")
        return 0
    if not argv or argv[0] not in COMMANDS:
        wrong = f"there is no command {argv[0]!r}" if argv else "a command is missing"
        print(f"zymkey-iot: {wrong}; there are: {', '.join(COMMANDS)}.", file=sys.stderr)
        print("Try: zymkey-iot --help", file=sys.stderr)
        return 2
    return _run(argv[0], argv[1:])


def _run(command: str, argv: Sequence[str]) -> int:
    import argparse
    import gc
    from importlib import import_module

    # Imports make many objects and no garbage. Looking for some all the while takes a tenth of a run.
    gc.set_threshold(100_000)

    module = import_module(f".commands.{command}", __package__)
    parser = argparse.ArgumentParser(
        prog=f"zymkey-iot {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    arguments = parser.parse_args(argv)
    try:
        return int(module.run(arguments))
    except DeviceError as error:
        _tell(error, as_json=getattr(arguments, "json", False))
        return error.exit_code
    except KeyboardInterrupt:
        print("\nzymkey-iot: interrupted. Everything so far is kept; run it again to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes at exit.
        sys.stdout = None
        return 1
    except Exception as defect:  # noqa: BLE001 - a user never gets a stack trace
        return _tell_defect(defect)


def _tell(error: DeviceError, *, as_json: bool) -> None:
    """Cause and cure on stderr; with --json also as the one object on stdout."""
    if as_json:
        import json

        report = {
            "ok": False,
            "error": error.kind,
            "exitCode": error.exit_code,
            "cause": error.cause,
            "try": error.cure,
        }
        print(json.dumps(report, indent=2))
    print(f"zymkey-iot: {error.cause}", file=sys.stderr)
    if error.cure:
        print(f"Try: {error.cure}", file=sys.stderr)


def _tell_defect(defect: Exception) -> int:
    import os
    import traceback

    if os.environ.get("ZYMKEY_IOT_TRACEBACK"):
        traceback.print_exception(defect)
    frame = traceback.extract_tb(defect.__traceback__)[-1]
    place = f"{frame.filename}:{frame.lineno}"
    print(f"zymkey-iot: this is a defect: {type(defect).__name__} at {place}.", file=sys.stderr)
    print("Try: report it, with what ZYMKEY_IOT_TRACEBACK=1 in the environment adds.", file=sys.stderr)
    return 1
