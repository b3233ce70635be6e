"""Run the hooks in on-renew.d that have not run yet for a new certificate.

The commands renew and bootstrap do this themselves. But the service renews as a user of its own, so systemd runs this
command as root after each renewal. It also removes a token that is spent from a file that the service cannot write.
"""

import argparse

from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_state(parser)
    options.add_json(parser)
    options.add_examples(parser, "sudo zymkey-iot hooks")


def run(arguments: argparse.Namespace) -> int:
    from ..hooks import run_pending_hooks
    from ..kept import read_certificate
    from ..report import Report
    from ..settings import load
    from ..spent_token import remove_spent_token
    from ..store import StateFolder

    report = Report(as_json=arguments.json)
    settings = load(arguments, warn=report.warn)
    state = StateFolder(settings.state)
    with state.locked():
        pending = state.hooks_are_pending()
        if pending:
            run_pending_hooks(state, settings, read_certificate(state), report)
        remove_spent_token(settings, state, report)
    report.conclude("The hooks have run." if pending else "Nothing to do: no hook has to run.", ran=pending)
    return 0
