"""Get a new certificate for the same key. The old certificate stays in use until the new one has worked.

Exit codes: 0 renewed. 13 not due yet. Any other: it failed, and the old certificate is still in use.
"""

import argparse

from . import options

NOT_DUE = 13


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--if-due", action="store_true", help="ask only after two thirds of the certificate's life, plus a jitter"
    )
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_give_up_after(parser)
    options.add_unattended(parser, "wait for hours if this device's turn in the fleet's queue comes within them")
    options.add_json(parser)
    options.add_examples(
        parser,
        "sudo zymkey-iot renew --if-due                  (as the timer does)",
        "sudo zymkey-iot renew                           (ask now; the cloud decides)",
    )


def run(arguments: argparse.Namespace) -> int:
    from ..kept import read_certificate
    from ..renew import renew
    from ..report import Report
    from ..settings import load
    from ..store import StateFolder

    report = Report(as_json=arguments.json)
    settings = load(arguments, warn=report.warn)
    renewed = renew(settings, report, if_due=arguments.if_due)
    certificate = renewed or read_certificate(StateFolder(settings.state))
    until = f"{certificate.not_after:%Y-%m-%d}"
    if renewed:
        sentence = f"Renewed: {settings.name} is on AWS IoT until {until}."
    else:
        sentence = f"Not due before {certificate.due_at:%Y-%m-%d}; the certificate is valid until {until}."
    report.conclude(
        sentence,
        renewed=renewed is not None,
        certificateId=certificate.certificate_id,
        notAfter=certificate.not_after.isoformat(),
        dueAt=certificate.due_at.isoformat(),
    )
    return 0 if renewed else NOT_DUE
