"""Get a certificate for the key in the HSM, publish a test message with it over mutual TLS, and keep it.

It can be repeated without harm: it asks the cloud only for what is not here yet. If the files in the state folder are
lost, the cloud sends the same certificate again.
"""

import argparse
from typing import TYPE_CHECKING

from . import options

if TYPE_CHECKING:
    from ..bootstrap import Outcome
    from ..report import Report
    from ..settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", nargs="?", help="the fleet's enrollment URL")
    parser.add_argument("--name", metavar="NAME", help="the device's name (default: this host's name)")
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help="one-time token; other users can see it in the process list while this command runs",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="file with the token; - asks for it, or reads it from standard input"
    )
    parser.add_argument(
        "--keep-token",
        action="store_const",
        const="true",
        help="leave the token in the settings file, or in the file that it names, after it is spent",
    )
    parser.add_argument(
        "--certificate",
        metavar="FILE",
        help="factory certificate: PEM file that the fleet's CA has signed for this key",
    )
    parser.add_argument("--mqtt", action="store_true", help="publish and receive over MQTT too")
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_give_up_after(parser)
    options.add_unattended(parser, "never give up, and leave a busy cloud minutes")
    parser.add_argument(
        "--first-wait",
        metavar="TIME",
        help="as a service: wait at random up to this time before the first request after power-on (default 20s)",
    )
    options.add_json(parser)
    options.add_examples(
        parser,
        "sudo zymkey-iot bootstrap https://abc.execute-api.eu-central-1.amazonaws.com --name pi-7 --token-file -",
        "    (asks for the token, which then is in no history and no process list)",
        "sudo zymkey-iot bootstrap                       (all settings in /boot/firmware/zymkey-iot.toml)",
        "sudo zymkey-iot bootstrap https://… --certificate /boot/firmware/pi-7.crt    (factory certificate)",
        "zymkey-iot bootstrap https://… --key file: --state ~/zymkey-iot      (no hardware, no root)",
    )


def run(arguments: argparse.Namespace) -> int:
    from ..bootstrap import bootstrap
    from ..report import Report
    from ..settings import load
    from ..settings_files import FILES, look_alikes

    report = Report(as_json=arguments.json)
    for sentence in look_alikes(FILES):
        report.warn(f"{sentence}.")
    settings = load(arguments, continuing=True, warn=report.warn)
    if settings.unattended:
        # Imported here: a person at the bench does without it.
        from ..unattended import bootstrap_unattended

        def load_again() -> "Settings":
            return load(arguments, continuing=True, warn=report.warn)

        outcome, settings = bootstrap_unattended(settings, load_again, report, mqtt=arguments.mqtt)
    else:
        outcome = bootstrap(settings, report, mqtt=arguments.mqtt)
    tell_outcome(outcome, settings, report)
    return 0


def tell_outcome(outcome: "Outcome", settings: "Settings", report: "Report") -> None:
    """Print what the device has now, and last what is missing for the certificate to be renewed."""
    from ..service.renewal import Plan, planned_renewal

    certificate = outcome.certificate
    renewal = planned_renewal(settings)
    warning = "" if renewal.plan is Plan.SCHEDULED else "\n" + renewal.line()
    times = "once" if outcome.key.signatures == 1 else f"{outcome.key.signatures} times"
    report.conclude(
        f"{outcome.name} is on AWS IoT, until {certificate.not_after:%Y-%m-%d}. The key signed {times}.{warning}",
        name=outcome.name,
        fingerprint=outcome.key.fingerprint,
        key=outcome.key.uri,
        certificateId=certificate.certificate_id,
        notAfter=certificate.not_after.isoformat(),
        certificate=str(settings.state / "certificate.pem"),
        endpoint=outcome.configuration.data_endpoint,
        enrolled=outcome.enrolled,
        signatures=outcome.key.signatures,
        renewal=renewal.document(),
    )
