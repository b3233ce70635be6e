"""The command ``zymkey-iot``: finds the subcommand, runs it, and turns errors into exit codes.

A subcommand is a module in ``commands/`` with ``configure(parser)`` and ``run(arguments) -> exit code``. It is imported
when it is asked for and not before: ``--help`` must not cost more than Python itself does.
"""

import os
import sys
from collections.abc import Sequence

from . import __version__
from .errors import EXIT_CODES, DeviceError, StorageError
from .streams import SafeStream, open_standard_descriptors

COMMANDS = {
    "bootstrap": "get a certificate for the key in the HSM, publish a test message with it, keep it",
    "publish": "publish one message over mutual TLS",
    "status": "show this device's name, key and certificate, and how long the certificate is valid",
    "renew": "get a new certificate for the same key",
    "wait": "ask again until the operator has approved this device, then finish its bootstrap",
    "doctor": "check everything from the HSM to AWS IoT; name each fault and what to do about it",
    "config": "print a configuration for another client that uses this key: paho, curl, mosquitto, …",
    "explain": "print the openssl and curl commands that do the same by hand",
    "credentials": "print AWS credentials for this device's programs, as their credential_process",
    "service": "let systemd run bootstrap at the first boot and renew when due: install, uninstall, status",
    "hooks": "run the hooks that have not run yet for a new certificate",
    "key": "show the public key, its fingerprint, and the HSM that holds it",
}

_ABOUT = """\
usage: zymkey-iot COMMAND [OPTIONS]

Connects this device to AWS IoT with the key inside its hardware security module (HSM).

commands (zymkey-iot COMMAND --help shows options and examples):
{commands}

settings are looked for in this order: options, environment variables, /etc/zymkey-iot.toml,
/boot/firmware/zymkey-iot.toml, the last bootstrap. The environment variables are:
  ENROLLMENT_URL   ZYMKEY_IOT_NAME   ZYMKEY_IOT_TOKEN   ZYMKEY_IOT_CERTIFICATE   ZYMKEY_IOT_KEY
  ZYMKEY_IOT_STATE   CA_BUNDLE   IOT_ENDPOINT   IOT_HTTPS_PORT   IOT_MQTT_PORT   IOT_CREDENTIAL_ENDPOINT
  ZYMKEY_IOT_GIVE_UP_AFTER   ZYMKEY_IOT_TLS   ZYMKEY_IOT_ON_RENEW   ZYMKEY_IOT_PIN
  ZYMKEY_IOT_TOKEN_FILE   ZYMKEY_IOT_KEEP_TOKEN   ZYMKEY_IOT_UNATTENDED   ZYMKEY_IOT_FIRST_WAIT
  HTTPS_PROXY   NO_PROXY

exit codes:
{exit_codes}
"""


def about() -> str:
    """What ``zymkey-iot --help`` prints."""
    return _ABOUT.format(
        commands="\n".join(f"  {name:<11} {summary}" for name, summary in COMMANDS.items()),
        exit_codes="\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    open_standard_descriptors()
    streams = sys.stdout, sys.stderr
    sys.stdout = output = SafeStream(sys.stdout)
    sys.stderr = SafeStream(sys.stderr)
    try:
        try:
            code = _main(list(sys.argv[1:] if argv is None else argv))
        except SystemExit:
            output.flush()
            if output.failure is None:
                raise
            code = 0
        output.flush()
        return _tell_lost_output(output) if output.failure is not None and code == 0 else code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams


def _tell_lost_output(output: SafeStream) -> int:
    """The work is done, and nobody can read what came of it."""
    reason = os.strerror(output.failure.errno or 0) if output.failure else ""
    return _tell(
        "output-lost",
        StorageError.exit_code,
        f"what this command printed could not be written: {reason}. The command itself was carried out.",
        "make room where its output goes, or send it elsewhere",
        as_json=False,
    )


def _main(argv: list[str]) -> int:
    if argv and argv[0] in ("-h", "--help", "help"):
        print(about(), end="")
        return 0
    if argv and argv[0] == "--version":
        print(f"zymkey-iot {__version__}")
        return 0
    if not argv or argv[0] not in COMMANDS:
        wrong = f"there is no command {argv[0]!r}" if argv else "the command is missing"
        print(f"zymkey-iot: {wrong}. The commands are: {', '.join(COMMANDS)}.", file=sys.stderr)
        print("Try: zymkey-iot --help", file=sys.stderr)
        return 2
    return _run(argv[0], argv[1:])


def _run(command: str, argv: Sequence[str]) -> int:
    import argparse
    import gc
    from importlib import import_module
    from typing import NoReturn

    # Imports make many objects and no garbage. Looking for garbage meanwhile takes a tenth of a run.
    gc.set_threshold(100_000)

    from .commands.options import joined

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            if "--json" in argv:
                _tell_as_json("usage-error", 2, f"{message}.", f"zymkey-iot {command} --help")
            super().error(message)

    module = import_module(f".commands.{command}", __package__)
    parser = Parser(
        prog=f"zymkey-iot {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    arguments = parser.parse_args(joined(parser, argv))
    as_json = getattr(arguments, "json", False)
    try:
        return int(module.run(arguments))
    except DeviceError as error:
        from .cures import for_state

        cure = for_state(error.cure, getattr(arguments, "state", None))
        return _tell(error.kind, error.exit_code, error.cause, cure, as_json=as_json, **error.facts)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _tell(
            "interrupted",
            130,
            "interrupted. Everything that was done so far is kept.",
            "the same command again, which continues from there",
            as_json=as_json,
        )
    except Exception as defect:  # noqa: BLE001 - a user never gets a stack trace
        return _tell_defect(defect, as_json=as_json)


def _tell(kind: str, exit_code: int, cause: str, cure: str, *, as_json: bool, **facts: object) -> int:
    """Print cause and cure on stderr, and with ``--json`` also as the one object on stdout; return the exit code."""
    if as_json:
        _tell_as_json(kind, exit_code, cause, cure, **facts)
    print(f"zymkey-iot: {cause}", file=sys.stderr)
    if cure:
        print(f"Try: {cure}", file=sys.stderr)
    return exit_code


def _tell_as_json(kind: str, exit_code: int, cause: str, cure: str, **facts: object) -> None:
    import json

    told = {"ok": False, "error": kind, "exitCode": exit_code, "cause": cause, "try": cure, **facts}
    print(json.dumps(told, indent=2))


def _tell_defect(defect: Exception, *, as_json: bool) -> int:
    import traceback

    if os.environ.get("ZYMKEY_IOT_TRACEBACK"):
        traceback.print_exception(defect)
    frame = traceback.extract_tb(defect.__traceback__)[-1]
    return _tell(
        "defect",
        DeviceError.exit_code,
        f"this is a defect: {type(defect).__name__} at {frame.filename}:{frame.lineno}.",
        "report it, with the stack trace that ZYMKEY_IOT_TRACEBACK=1 in the environment prints",
        as_json=as_json,
    )
