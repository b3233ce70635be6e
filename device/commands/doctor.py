"""Find out what is wrong: named checks from the HSM outwards to AWS IoT, each with its cause and what to try.

It changes nothing, costs the key two signatures, and publishes one message to the device's own topic. A check is
ok, warning, failed, or skipped because another has to be mended first.

Exit code 0: all is well. 16: warnings only. Otherwise that of the first check that failed, by the table in
`zymkey-iot --help`, so 4 is the network here as everywhere.
"""

import argparse

from . import options

DEFAULT_TIMEOUT = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    from ..doctor.checklist import CHECKS

    parser.add_argument(
        "--only", metavar="CHECK", action="append", default=[], help="this check and what it needs; may be repeated"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_TIMEOUT,
        help=f"how long to wait for each connection ({DEFAULT_TIMEOUT:.0f})",
    )
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options.add_examples(
        parser,
        "sudo zymkey-iot doctor",
        "sudo zymkey-iot doctor --only hsm --only slot",
        "sudo zymkey-iot doctor --json | jq -r '.checks[] | select(.status == \"failed\") | .id'",
    )
    parser.epilog = "\n".join(
        [parser.epilog or "", "", "checks:", *(f"  {check.id:<20} {check.about}" for check in CHECKS)]
    )


def run(arguments: argparse.Namespace) -> int:
    from ..doctor.checklist import select
    from ..doctor.examination import Examination
    from ..doctor.finding import Status
    from ..doctor.report import Report
    from ..doctor.runner import examine, exit_code

    report = Report(as_json=arguments.json)
    examination = Examination(arguments, timeout=arguments.timeout)
    shown = []
    for result in examine(select(arguments.only), examination, on_start=report.started):
        # Of what was run only for another's sake, a failure alone is of interest.
        if not arguments.only or result.check in arguments.only or result.status is Status.FAILED:
            shown.append(result)
            report.finished(result)
        else:
            report.passed_over()
    report.summary(shown)
    return exit_code(shown)
