"""``zymkey-fleet reject``: refuse keys that wait for approval.

AWS actions: cloudformation:DescribeStacks, dynamodb:Query, UpdateItem.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fleet.arguments import add_deployment, add_examples, add_json, fingerprint
from fleet.cures import SEE_WAITING
from fleet.deployment import open_deployment
from fleet.errors import FleetError, Refused
from fleet.failures import explained
from fleet.name_file import fingerprints_from
from fleet.output import note, print_json, print_line, print_table
from fleet.waiting import waiting_keys
from ledger import Ledger


def configure(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "fingerprints",
        metavar="FINGERPRINT",
        type=fingerprint,
        nargs="*",
        default=[],
        help="the key's fingerprint, SHA256:…, as `zymkey-fleet pending` shows it; several are possible",
    )
    which.add_argument("--all", action="store_true", help="every key that waits for approval now")
    which.add_argument(
        "--from", metavar="ADDRESS", dest="source", help="every key that waits and has asked from this address"
    )
    which.add_argument(
        "--keys",
        metavar="FILE",
        type=Path,
        help="a file of fingerprints: one a line, CSV or JSON (the column `fingerprint` or `key`); - is standard input",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; needed for --all and --from without a terminal")
    parser.add_argument("--dry-run", action="store_true", help="say which keys would be rejected, and reject none")
    add_json(parser)
    add_deployment(parser)
    parser.epilog = """\
A key is refused for a week; then it may ask again. `allow` and `approve` reverse it. A key that cannot be rejected does
not stop the others; the exit code is then 1.
JSON: fingerprint, rejected; of several keys, of --keys, --all, --from and --dry-run a list of fingerprint, rejected,
reason."""
    add_examples(
        parser,
        "zymkey-fleet reject SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY",
        "zymkey-fleet reject --from 198.51.100.7",
        "zymkey-fleet reject --keys strangers.txt",
        "zymkey-fleet reject --all --dry-run",
        "zymkey-fleet reject --all --yes",
    )


def run(arguments: argparse.Namespace) -> int:
    ledger = open_deployment(arguments).ledger
    chosen = list(dict.fromkeys(arguments.fingerprints))
    if arguments.keys is not None:
        chosen = fingerprints_from(arguments.keys)
    elif not chosen:
        waiting = waiting_keys(ledger, now=int(time.time()))
        waiting = [each for each in waiting if arguments.all or each.source == arguments.source]
        chosen = [each.fingerprint for each in waiting]
        if chosen and not (arguments.yes or arguments.dry_run):
            _confirm([[each.fingerprint, each.suggested_name, each.source] for each in waiting], arguments)
    failures = {} if arguments.dry_run else _reject(chosen, ledger)
    _show(chosen, failures, arguments)
    return next((failure.exit_code for failure in failures.values()), 0)


def _confirm(rows: Sequence[Sequence[str]], arguments: argparse.Namespace) -> None:
    """Ask the person at the terminal.

    Raises:
        Refused: they do not say yes, or nobody is there.
    """
    if arguments.json or sys.stdin is None or not sys.stdin.isatty():
        raise Refused(
            f"{len(rows)} keys would be rejected, and there is no terminal to ask on.",
            cure="run the same command again with --yes; --dry-run shows the keys",
        )
    print_table(["FINGERPRINT", "NAME", "FROM"], rows)
    note(f"Reject these {len(rows)} keys? Type yes:")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was rejected.", cure="zymkey-fleet pending, and name the keys to reject")


def _reject(fingerprints: Sequence[str], ledger: Ledger) -> dict[str, FleetError]:
    """Reject each; returns those that were not, and why."""
    failures: dict[str, FleetError] = {}
    with explained():
        done = set(ledger.reject_all(fingerprints, now=int(time.time())))
    for each in fingerprints:
        if each in done:
            continue
        failures[each] = Refused(f"No key {each} waits for approval.", cure=SEE_WAITING)
    return failures


def _show(chosen: Sequence[str], failures: dict[str, FleetError], arguments: argparse.Namespace) -> None:
    single = len(arguments.fingerprints) == 1 and not arguments.dry_run
    if single and failures:
        raise failures[chosen[0]]
    done = 0 if arguments.dry_run else len(chosen) - len(failures)
    if arguments.json:
        rows = [
            {"fingerprint": each, "rejected": not arguments.dry_run and each not in failures}
            | ({} if single else {"reason": failures[each].cause if each in failures else None})
            for each in chosen
        ]
        print_json(rows[0] if single else rows)
    elif single:
        print_line(f"The key {chosen[0]} is rejected.")
    else:
        outcome = "waits" if arguments.dry_run else "rejected"
        rows_of_text = [
            [each, "refused", failures[each].in_one_line] if each in failures else [each, outcome, None]
            for each in chosen
        ]
        if rows_of_text:
            print_table(["FINGERPRINT", "RESULT", "REASON"], rows_of_text)
        note(f"Rejected: {done} of {len(chosen)}." if not arguments.dry_run else f"Would be rejected: {len(chosen)}.")
