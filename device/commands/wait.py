"""Ask again until the operator or the CA has approved this device, then finish its bootstrap.

Use it after a bootstrap that ended with exit code 7 (not yet). Without --give-up-after it has no time limit.
"""

import argparse
from dataclasses import replace

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_key(parser)
    options.add_state(parser)
    options.add_connection(parser)
    options.add_give_up_after(parser)
    options.add_json(parser)
    options.add_examples(parser, "sudo zymkey-iot wait", "sudo zymkey-iot wait --give-up-after 8h")


def run(arguments: argparse.Namespace) -> int:
    from ..bootstrap import bootstrap
    from ..report import Report
    from ..settings import load
    from .bootstrap import tell_outcome

    report = Report(as_json=arguments.json)
    settings = load(arguments, continuing=True, warn=report.warn)
    if settings.sources["give_up_after"] == "default":
        settings = replace(settings, give_up_after=float("inf"))
    tell_outcome(bootstrap(settings, report), settings, report)
    return 0
