"""Whether the certificate will be renewed: the timer of systemd has to be there, and its runs have to succeed."""

import datetime
from collections.abc import Iterator

from ...errors import DeviceError
from ...renew import renewal_time
from ...service.renewal import Plan, planned_renewal
from ..examination import Examination
from ..finding import Finding, Skipped, ok, warning

LATE = datetime.timedelta(days=1)
"""A timer that runs looks four times in it."""

RUN_HOOKS = "sudo zymkey-iot hooks, which says which hook fails"


def renewal(examination: Examination) -> Finding:
    if isinstance(examination.certificate, DeviceError):
        raise Skipped("there is no certificate to renew.", needs="certificate")
    planned = planned_renewal(examination.settings)
    wrong = list(_faults(examination))
    if planned.plan in (Plan.NONE, Plan.FAILING):
        wrong.insert(0, (planned.text, planned.cure))
    if wrong:
        return warning(
            " ".join(text for text, _ in wrong), cure="; then ".join(cure for _, cure in wrong), plan=planned.plan.value
        )
    if planned.plan is Plan.UNKNOWN:
        raise Skipped(planned.line())
    return ok(planned.text, plan=planned.plan.value)


def _faults(examination: Examination) -> Iterator[tuple[str, str]]:
    """What is late, whoever renews: text and cure."""
    found = examination.the_certificate()
    due = renewal_time(found, examination.the_key()) if examination.passed("slot") else found.due_at
    if examination.passed("certificate") and examination.time() > due + LATE:
        yield f"the renewal is overdue since {due:%Y-%m-%d}.", "sudo zymkey-iot renew"
    if examination.state.hooks_are_pending():
        yield "hooks have not run yet for the certificate in use.", RUN_HOOKS
