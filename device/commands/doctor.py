"""Check everything from the HSM to AWS IoT; for each fault print the cause and what to try.

It changes nothing, costs the key two signatures, and publishes one message to the device's own topic. The result of a
check is ok, warning, failed, or skipped. A check is skipped while another check has to pass first.

Exit codes: 0 all checks passed. 16 warnings only. Otherwise the exit code of the first check that failed, as in
zymkey-iot --help: 4 is the network, for example.
"""

import argparse

from . import options

DEFAULT_TIMEOUT = 10.0
_LONGEST_TIMEOUT = 600.0


def configure(parser: argparse.ArgumentParser) -> None:
    from ..doctor.checklist import CHECKS

    parser.add_argument(
        "--only",
        metavar="CHECK",
        action="append",
        default=[],
        help="run this check and the checks that it needs; can be given more than once",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_TIMEOUT,
        help=f"how long to wait for each connection (default {DEFAULT_TIMEOUT:.0f})",
    )
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_json(parser)
    options.add_examples(
        parser,
        "sudo zymkey-iot doctor",
        "sudo zymkey-iot doctor --only hsm --only slot",
        "sudo zymkey-iot doctor --json | jq -r '.checks[] | select(.status == \"failed\") | .id'",
    )
    parser.epilog = "\n".join(
        [parser.epilog or "", "", "checks:", *(f"  {check.id:<20} {check.about}" for check in CHECKS)]
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, and at most 600")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from ..cures import for_state
    from ..doctor.checklist import select
    from ..doctor.examination import Examination
    from ..doctor.finding import Status
    from ..doctor.report import Report
    from ..doctor.runner import examine, exit_code

    report = Report(as_json=arguments.json)
    examination = Examination(arguments, timeout=arguments.timeout)
    shown = []
    for found in examine(select(arguments.only), examination, on_start=report.started):
        result = replace(found, cure=for_state(found.cure, arguments.state)) if found.cure else found
        # A check that ran only because another needs it is shown only if it failed.
        if not arguments.only or result.check in arguments.only or result.status is Status.FAILED:
            shown.append(result)
            report.finished(result)
        else:
            report.passed_over()
    report.summary(shown)
    return exit_code(shown)
