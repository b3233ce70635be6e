"""What ``zymkey-fleet audit --fix`` does about a finding. Each repair can be repeated."""

from audit.judgement import Finding, Kind
from fleet.certificates import deactivate, switch_off
from fleet.deployment import Deployment


def repair(finding: Finding, deployment: Deployment) -> None:
    """Do what ``judgement.MEANINGS`` says of a finding that is fixable.

    Calls iot:UpdateCertificate; for an unfinished certificate also iot:DeleteCertificate.
    """
    if finding.kind is Kind.UNFINISHED:
        switch_off(finding.certificate_id, deployment)
        deployment.iot.delete_certificate(certificateId=finding.certificate_id)
        return
    certificate = deployment.ledger.certificate(finding.device or "", finding.certificate_id)
    if certificate is not None:
        deactivate(certificate, deployment)
