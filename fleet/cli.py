"""The command line of ``zymkey-fleet``: finds the command, runs it, and turns errors into exit codes."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from fleet.command_parser import SafeParser, add_commands
from fleet.errors import EXIT_CODES, AnswerLost, Defect, FleetError, Interrupted, Refused
from fleet.output import print_error, print_trace
from fleet.stdout import unbroken_streams

# In the order in which an operator meets them.
COMMANDS = {
    "invite": "let a new device in, with a one-time token",
    "allow": "let a known key in, without a secret",
    "list": "list all devices",
    "show": "show one device and every certificate that it ever had",
    "history": "show what happened to one device",
    "set": "change the attributes and groups of a device's thing in AWS IoT",
    "block": "keep devices out, and switch their certificates off",
    "unblock": "let blocked devices in again",
    "replace": "let another HSM take over a device's name, and block the one that has it",
    "renew": "have devices get a new certificate at their next request, due or not",
    "remove": "remove devices, so that their names and keys are free again",
    "pending": "list the keys that wait for approval, and the CSRs that wait for a signature",
    "approve": "let in keys that wait for approval",
    "reject": "refuse keys that wait for approval",
    "export": "write the CSRs that wait for a signature into a folder",
    "sign": "sign the CSRs that wait with your own CA, and register the certificates",
    "import": "register certificates that your CA has signed with other tools",
    "audit": "find, and repair, what differs between the ledger and AWS IoT",
    "verify": "test the deployment with a throw-away device",
    "backup": "write the whole ledger into a file",
    "restore": "bring a ledger back from a backup, also when its table is gone",
    "adopt": "find what a destroyed deployment left, and write the setting that takes it over",
    "purge": "remove all that a destroyed deployment left, devices included",
    "ca": "work with your own CA: create, prove, check, rotate and retire it",
}

DESCRIPTION = "Let devices into a fleet on AWS IoT, keep devices out, and see the state of each."
EPILOG = """\
examples:
  zymkey-fleet invite pi-1               print the one command to run on the Raspberry Pi
  zymkey-fleet allow pi-2 --key pi2.pem  let in a device by its public key
  zymkey-fleet list                      see every device and its state
  zymkey-fleet block pi-1                a device is lost: switch its certificates off

exit codes:
{exit_codes}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    _keep_libraries_quiet()
    with unbroken_streams() as output:
        try:
            code = _run(argv)
        except SystemExit as end:  # argparse: --help, or a wrong command line
            code = end.code if isinstance(end.code, int) else 0
        output.flush()
        if output.lost is None or code != 0:
            return code
        lost = AnswerLost(
            f"The command has done its work, but its answer could not be written: {output.lost.strerror}.",
            cure="make room where the output goes, and run the same command again",
        )
        print_error(lost, as_json=False)
        return lost.exit_code


def _keep_libraries_quiet() -> None:
    """What libraries warn their users of is told by this command in its own words, or is none of the operator's."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _run(argv: Sequence[str] | None) -> int:
    arguments = argparse.Namespace(json=False)
    try:
        arguments = _parser().parse_args(argv)
        # Not at the top: --help is to be instant, and failures knows the AWS SDK.
        from fleet.failures import explained
        from fleet.roles import running

        with running(arguments.run.__module__.rpartition(".")[2]), explained():
            return int(arguments.run(arguments))
    except FleetError as error:
        failure = error
    except KeyboardInterrupt:
        failure = Interrupted()
    except OSError as error:
        # Files of its own choice, such as a temporary folder: what a user named is told where it is read or written.
        failure = Refused(
            f"This machine does not let the command work: {_said(error)}.",
            cure="look after that file or disk, and run the same command again",
        )
    except Exception as defect:  # noqa: BLE001 - a user never gets a stack trace
        failure = _located(defect)
    print_error(failure, as_json=arguments.json)
    return failure.exit_code


def _said(error: OSError) -> str:
    said = error.strerror or type(error).__name__
    return said if error.filename is None else f"{said}: {str(error.filename)!r}"


def _located(defect: Exception) -> Defect:
    import traceback

    if os.environ.get("ZYMKEY_FLEET_TRACEBACK"):
        print_trace(defect)
    frame = traceback.extract_tb(defect.__traceback__)[-1]
    return Defect(
        f"this is a defect: {type(defect).__name__} at {frame.filename}:{frame.lineno}.",
        cure="report it, with the stack trace that ZYMKEY_FLEET_TRACEBACK=1 in the environment prints",
    )


def _parser() -> argparse.ArgumentParser:
    exit_codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES)
    parser = SafeParser(
        prog="zymkey-fleet",
        description=DESCRIPTION,
        epilog=EPILOG.format(exit_codes=exit_codes),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_commands(parser, COMMANDS, prefix="")
    return parser
