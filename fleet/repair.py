"""What ``zymkey-fleet audit --fix`` does about a finding. Each repair can be repeated."""

import time

from audit.deletion import StillActive, StillAttached, delete
from audit.judgement import Finding, Kind
from fleet.certificates import deactivate, switch_off
from fleet.deployment import Deployment


def repair(finding: Finding, deployment: Deployment) -> bool:
    """Do what ``judgement.MEANINGS`` says of a finding that is fixable. Returns whether it is repaired.

    Calls iot:UpdateCertificate; for a certificate that is deleted those of ``audit.deletion``.
    """
    certificate_id = finding.certificate_id or ""
    if finding.kind is Kind.UNFINISHED:
        switch_off(certificate_id, deployment)
        deployment.iot.delete_certificate(certificateId=certificate_id)
        return True
    certificate = deployment.ledger.certificate(finding.device or "", certificate_id)
    if certificate is None:
        return True
    if finding.kind is Kind.SHOULD_BE_GONE:
        try:
            delete(certificate_id, iot=deployment.iot)
        except (StillActive, StillAttached):  # AWS IoT notices within minutes that it was detached
            return False
        deployment.ledger.deleted(certificate.device, certificate_id, by=deployment.operator, now=int(time.time()))
    else:
        deactivate(certificate, deployment)
    return True
