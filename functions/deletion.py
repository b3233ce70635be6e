"""Certificates that nobody has needed for long enough leave AWS IoT. The ledger keeps what they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from audit.deletion import StillActive, StillAttached, delete
from audit.judgement import is_to_go
from functions.deployment import Deployment
from functions.log import bounded, log
from ledger import LedgerError

# One takes six calls of AWS IoT. DescribeCertificate and DeleteCertificate have a quota of 10 a second, for the account
# and Region: the larger half stays with those who enroll and block devices.
_SECONDS_EACH = 1 / 4


@dataclass
class Deletions:
    """What became of the certificates.

    Attributes:
        left: AWS IoT does not let them go yet, or the time was up: the next run's.
        failed: those of them of which a call failed.
    """

    done: int = 0
    left: int = 0
    failed: int = 0


def delete_unneeded(
    certificates: Iterable[tuple[str, str]],
    *,
    kept_seconds: int,
    now: int,
    deployment: Deployment,
    goes_on: Callable[[], bool],
) -> Deletions:
    """Delete certificates, each given by device and id. What is interrupted is found again by the next run.

    Args:
        kept_seconds: how long a certificate that is out of use stays in AWS IoT.
        goes_on: whether there is time for another one.
    """
    deletions, again = Deletions(), []
    for name, certificate_id in certificates:
        if not goes_on():
            deletions.left += 1
        elif not _tried(name, certificate_id, kept_seconds, now, deployment, deletions):
            again.append((name, certificate_id))
    # AWS IoT notices within seconds that a certificate was detached: the first of these may be let go by now.
    for name, certificate_id in again:
        if not goes_on() or not _tried(name, certificate_id, kept_seconds, now, deployment, deletions):
            deletions.left += 1
    return deletions


def _tried(
    name: str, certificate_id: str, kept_seconds: int, now: int, deployment: Deployment, deletions: Deletions
) -> bool:
    """False for one that AWS IoT does not let go yet."""
    began = time.monotonic()
    try:
        if _delete(name, certificate_id, kept_seconds, now, deployment):
            deletions.done += 1
            log.info("deleted a certificate that is out of use", device=name, certificate_id=certificate_id)
    except StillAttached:
        return False
    except (StillActive, ClientError, BotoCoreError, LedgerError) as error:
        deletions.left += 1
        deletions.failed += 1
        reason = bounded(str(error))
        log.error("could not delete a certificate", reason=reason, device=name, certificate_id=certificate_id)
    time.sleep(max(0.0, _SECONDS_EACH - (time.monotonic() - began)))
    return True


def _delete(name: str, certificate_id: str, kept_seconds: int, now: int, deployment: Deployment) -> bool:
    """Whether it was to be deleted; what the survey has read of it is minutes old."""
    ledger = deployment.ledger
    device, certificate = ledger.device(name), ledger.certificate(name, certificate_id)
    needed = () if device is None else (device.certificate_id, device.unfinished, device.superseded)
    is_current = certificate_id in needed
    if certificate is None or not is_to_go(certificate, now, is_current=is_current, kept_seconds=kept_seconds):
        return False
    delete(certificate_id, iot=deployment.iot)
    ledger.deleted(name, certificate_id, by="audit", now=now)
    return True
