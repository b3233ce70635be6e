"""The enrollment URL that the fleet announces in its configuration (``enrollmentUrl``): tried, and only then taken up.

A device takes one up only after it has proved to lead to this fleet: over verified HTTPS, without a redirect, it has to
answer with the same configuration, to announce itself, and to issue to the device's CSR the very certificate that
AWS IoT has just accepted. It gets no token. The URL that worked before stays beside it (``fallback-url``), and is asked
when the new one does not serve.

A URL that a person has set (an option, a variable, a settings file) stays; the announced one is kept beside it.
"""

from . import configuration as cloud
from . import est, retry
from .addresses import is_same_url
from .certificate import DeviceCertificate
from .configuration import Configuration
from .cures import TELL_OPERATOR
from .enrollment_urls import check_is_this_fleet
from .errors import DeviceError, UnexpectedReply
from .kept import find_configuration
from .steps import Run

# In seconds. Against passing failures alone: what does not work now is tried again at the next renewal.
PROOF_TIME = 30.0


def settle_urls(run: Run, configuration: Configuration, certificate: DeviceCertificate) -> None:
    """Decide which URLs are kept. It raises nothing: this run has found one that works.

    Args:
        configuration: as the cloud sent it.
        certificate: the one that AWS IoT has accepted.
    """
    urls, announced, fallback = run.urls, configuration.enrollment_url, run.settings.fallback_url
    url = urls.given if urls.chosen else urls.answered
    known = [urls.answered, urls.given, fallback, *_left(run, configuration)]
    if configuration.announcement_refused is not None:
        run.report.warn(
            f"the fleet announces an enrollment URL that is not allowed: {configuration.announcement_refused}."
            f" This device goes on with {url}."
        )
    is_kept = announced in (url, urls.answered) or (urls.chosen and announced == fallback)
    if announced is not None and not is_kept and _works(run, announced, url, configuration, certificate):
        known.insert(0, announced)
        url = url if urls.chosen else announced
    others = (each for each in known if each is not None and not is_same_url(each, url))
    run.urls_to_keep.update(url=url, fallback_url=next(others, None))


def _left(run: Run, configuration: Configuration) -> list[str]:
    """The URLs of before, when a bootstrap with another one has led to the same fleet: they have worked, too."""
    device, before = run.state.device(), find_configuration(run.state)
    if before is None or device.get("name") != run.settings.name:
        return []
    try:
        check_is_this_fleet("", configuration, before)
    except UnexpectedReply:
        return []
    return [str(device[label]) for label in ("url", "fallback-url") if device.get(label)]


def _works(run: Run, announced: str, url: str, configuration: Configuration, certificate: DeviceCertificate) -> bool:
    """Try the announced URL, and say how that went. ``url`` is the one that works."""
    try:
        with run.report.step("url") as step:
            retry.retry(
                lambda: _prove(run, announced, configuration, certificate),
                give_up_after=run.deadline.left(PROOF_TIME),
                on_wait=lambda failure, seconds: run.report.note(f"{failure.cause} Again in {seconds:.0f} s."),
            )
            step.done = f"{announced} works: " + (
                f"kept beside {url}, which is set ({run.settings.sources['url']})"
                if run.urls.chosen
                else f"used from now on, and {url} when it does not serve"
            )
    except DeviceError as failure:
        run.report.warn(
            f"the fleet announces the enrollment URL {announced}, which does not serve this device: {failure.cause}"
            f" It goes on with {url}, and tries the other one again at its next renewal."
        )
        return False
    return True


def _prove(run: Run, url: str, configuration: Configuration, certificate: DeviceCertificate) -> None:
    """Check that ``url`` leads to this fleet.

    Raises:
        DeviceError: it does not, or does not answer.
    """
    found, _ = cloud.fetch(url, network=run.network)
    check_is_this_fleet(url, found, configuration)
    if found.enrollment_url != url:  # two that announce each other would send devices to and fro
        raise UnexpectedReply(f"{url} announces {found.enrollment_url or 'no URL'} in its turn.", cure=TELL_OPERATOR)
    issued = est.enroll(
        url,
        run.csr,
        name=run.settings.name,
        token=None,  # it is for the server that was named with it
        key=run.key,
        network=run.network,
        operation="simplereenroll",
    ).certificate
    if issued.der != certificate.der:
        raise UnexpectedReply(f"{url} sent another certificate than the fleet's.", cure=TELL_OPERATOR)
