"""Get a certificate for the HSM's key, prove it with a publish over mutual TLS, and keep it.

Running it again does no harm: it asks the cloud for nothing that is here already. With the files in the
state folder lost, it gets the same certificate again.
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
        "--token", metavar="TOKEN", help="one-time token; others can see it in the process list while this runs"
    )
    parser.add_argument("--token-file", metavar="FILE", help="file that holds the token")
    parser.add_argument(
        "--certificate", metavar="FILE", help="certificate (PEM) that the fleet's CA signed in the factory for this key"
    )
    parser.add_argument("--mqtt", action="store_true", help="also publish and receive over MQTT")
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_give_up_after(parser)
    options.add_json(parser)
    options.add_examples(
        parser,
        "ZYMKEY_IOT_TOKEN=… zymkey-iot bootstrap https://abc.execute-api.eu-central-1.amazonaws.com --name pi-7",
        "    (in a root shell: sudo would show the token in its own arguments)",
        "sudo zymkey-iot bootstrap                       (all from /boot/firmware/zymkey-iot.toml)",
        "sudo zymkey-iot bootstrap https://… --certificate /boot/firmware/pi-7.crt    (came from the factory)",
        "zymkey-iot bootstrap https://… --key file: --state ~/zymkey-iot      (no hardware, no root)",
    )


def run(arguments: argparse.Namespace) -> int:
    from ..bootstrap import bootstrap
    from ..report import Report
    from ..settings import load

    report = Report(as_json=arguments.json)
    settings = load(arguments)
    tell_outcome(bootstrap(settings, report, mqtt=arguments.mqtt), settings, report)
    return 0


def tell_outcome(outcome: "Outcome", settings: "Settings", report: "Report") -> None:
    """Say what the device has now."""
    certificate = outcome.certificate
    times = "once" if outcome.key.signatures == 1 else f"{outcome.key.signatures} times"
    report.conclude(
        f"{outcome.name} is on AWS IoT, until {certificate.not_after:%Y-%m-%d}. The key signed {times}.",
        name=outcome.name,
        fingerprint=outcome.key.fingerprint,
        key=outcome.key.uri,
        certificateId=certificate.certificate_id,
        notAfter=certificate.not_after.isoformat(),
        certificate=str(settings.state / "certificate.pem"),
        endpoint=outcome.configuration.data_endpoint,
        enrolled=outcome.enrolled,
        signatures=outcome.key.signatures,
    )
