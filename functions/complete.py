"""The last part of every enrollment: a recorded certificate is registered, permitted, and the device's own."""

from functions import registration, things
from functions.deployment import Deployment
from functions.issuers import issuer_of
from functions.log import log
from functions.metrics import Metric, counted
from ledger import Blocked, Certificate, Device


def complete(
    certificate: Certificate,
    device: Device,
    lease: str,
    *,
    now: int,
    deployment: Deployment,
    in_aws_iot: bool = False,
    arn: str | None = None,
) -> None:
    """Register and permit a recorded certificate, and make it the device's own. Every step can be repeated.

    Args:
        device: whose it is, as the lease found it; its thing is there.
        arn: the certificate's, when this request had AWS IoT make it, as active.
        in_aws_iot: AWS IoT is known to have it already, so it is at most to be activated.

    Raises:
        Forbidden: the certificate was switched off.
        LedgerError: the device is blocked or replaced, or another request has taken over.
        ClientError, BotoCoreError: an AWS call failed; the next request repairs it.
    """
    iot = deployment.iot
    if in_aws_iot:
        arn = registration.activate(certificate.certificate_id, iot=iot)
    elif arn is None:
        arn = issuer_of(deployment).register(certificate)
    registration.permit(arn, device=device.name, policy=deployment.choices.iot_policy, iot=iot)
    if things.is_new(device):
        things.join_groups(device, now=now, deployment=deployment)
    try:
        renewed = deployment.ledger.make_current(certificate, lease=lease, now=now, known=device)
    except Blocked:
        # The operator blocked or replaced the device meanwhile: switch off what was just switched on.
        iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
        raise
    log.info(
        "registered, attached and permitted",
        certificate_id=certificate.certificate_id,
        **counted(Metric.RENEWED if renewed else Metric.ENROLLED),
    )
