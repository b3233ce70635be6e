"""The certificate in use: is there one, is it valid now, and is it for this key."""

from ...cures import BOOTSTRAP
from ...kept import THIS_CLOCK, check_is_for, check_is_valid, find_candidate
from ...renew import renewal_time
from ..examination import Examination
from ..finding import Finding, ok, warning


def certificate(examination: Examination) -> Finding:
    """By the server's clock if it is known, so that a wrong clock here is not taken for a fault of the certificate."""
    found = examination.the_certificate()
    time = examination.time()
    clock = THIS_CLOCK if examination.clock_offset is None else "the server's clock"
    check_is_valid(found, time, clock=clock)
    facts = {"certificateId": found.certificate_id, "notAfter": found.not_after.isoformat()}
    due = renewal_time(found, examination.the_key()) if examination.passed("slot") else found.due_at
    if time > due:
        return warning(
            f"the certificate ends on {found.not_after:%Y-%m-%d}; its renewal is overdue since {due:%Y-%m-%d}.",
            cure="sudo zymkey-iot renew; then check that the timer runs: systemctl list-timers 'zymkey-iot*'",
            **facts,
        )
    if find_candidate(examination.state) is not None:
        return warning(
            "a newer certificate was issued but not tried yet, because a run was interrupted.", cure=BOOTSTRAP, **facts
        )
    return ok(f"{found.certificate_id[:12]}…, until {found.not_after:%Y-%m-%d}", **facts)


def certificate_key(examination: Examination) -> Finding:
    check_is_for(examination.the_certificate(), examination.the_key())
    return ok("the certificate is for the key in the HSM")
