"""Switches certificates of the ledger off and on in AWS IoT. Each step can be repeated."""

import time

from fleet.cures import free_first, positional
from fleet.deployment import Deployment
from fleet.errors import Refused
from ledger import IN_USE, Blocked, Certificate, CertificateState, Device, WrongState


def deactivate(certificate: Certificate, deployment: Deployment) -> None:
    """Switch a certificate off and tell the ledger. One that AWS IoT does not know is off already.

    Calls iot:UpdateCertificate.
    """
    switch_off(certificate.certificate_id, deployment)
    deployment.ledger.deactivated(
        certificate.device, certificate.certificate_id, by=deployment.operator, now=int(time.time())
    )


def deactivate_former(device: Device, deployment: Deployment) -> list[str]:
    """Switch off whatever a device's name may use no more: another key's, and what is out of use in the ledger.

    Returns the ids. Of the key that the device has, nothing that is in use is touched. Doing it twice is doing it once.

    Calls iot:UpdateCertificate.
    """
    done = []
    for each in deployment.ledger.certificates(device.name):
        is_own = each.state in IN_USE and each.fingerprint == device.fingerprint
        if is_own or each.deleted_at is not None:
            continue
        if each.state is CertificateState.DEACTIVATED:
            switch_off(each.certificate_id, deployment)
        else:
            deactivate(each, deployment)
        done.append(each.certificate_id)
    return done


def reactivate(certificate: Certificate, deployment: Deployment) -> None:
    """Switch a certificate on again and tell the ledger.

    Calls iot:UpdateCertificate.

    Raises:
        Blocked, WrongState: the device was blocked, replaced or renewed meanwhile; the certificate is off.
        Refused: AWS IoT does not have the certificate any more.
    """
    if not _set_status(certificate.certificate_id, "ACTIVE", deployment):
        raise Refused(
            f"AWS IoT no longer has the certificate {certificate.certificate_id} of {certificate.device}.",
            cure=free_first(certificate.device, f"invite {positional(certificate.device)}"),
        )
    try:
        deployment.ledger.reactivated(
            certificate.device, certificate.certificate_id, by=deployment.operator, now=int(time.time())
        )
    except (Blocked, WrongState):
        switch_off(certificate.certificate_id, deployment)
        raise


def switch_off(certificate_id: str, deployment: Deployment) -> None:
    """Make a certificate INACTIVE without telling the ledger. One that AWS IoT does not know is off already."""
    _set_status(certificate_id, "INACTIVE", deployment)


def _set_status(certificate_id: str, status: str, deployment: Deployment) -> bool:
    """Whether AWS IoT knows the certificate."""
    try:
        deployment.iot.update_certificate(certificateId=certificate_id, newStatus=status)  # type: ignore[arg-type]
    except deployment.iot.exceptions.ResourceNotFoundException:
        return False
    return True
