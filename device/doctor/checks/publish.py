"""One message to a topic of the device's own, looked at twice: is the certificate accepted, is the topic allowed."""

from ...errors import Busy, CertificateRefused, ConnectDenied, DeviceError, TopicDenied, UnexpectedReply
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok


def certificate_accepted(examination: Examination) -> Finding:
    """Any answer over HTTP means that the handshake was finished and the certificate known."""
    if examination.by_curl and examination.results["curl-engine"].status is Status.FAILED:
        raise Skipped("curl has to reach the key first.", needs="curl-engine")
    outcome = examination.publish
    if isinstance(outcome, DeviceError) and not isinstance(outcome, TopicDenied | Busy | UnexpectedReply):
        raise outcome
    return ok(f"by {examination.data_endpoint.host}")


def publish(examination: Examination) -> Finding:
    outcome = examination.publish
    if not examination.configuration.publish:
        raise Skipped("the fleet's devices may not publish.")
    if isinstance(outcome, TopicDenied):
        raise _told_apart(outcome, examination)
    if isinstance(outcome, DeviceError):
        raise outcome
    return ok(outcome, topic=outcome)


def _told_apart(denied: TopicDenied, examination: Examination) -> TopicDenied:
    """Over HTTPS no policy and the wrong policy look the same. Over MQTT connecting is a step of its own."""
    from ...steps import test_message

    certificate = examination.the_certificate()
    topic = examination.own_topic(examination.settings.name)
    try:
        examination.device().mqtt().run(topic, test_message(examination.settings.name, "doctor"))
    except (ConnectDenied, CertificateRefused):
        return TopicDenied(
            f"{denied.cause} Nor may it connect over MQTT: no policy of the fleet is attached to its certificate.",
            cure="the operator sees it in zymkey-fleet audit, and attaches it: aws iot attach-policy --policy-name"
            f" (the stack's output IotPolicy) --target (the ARN of certificate {certificate.certificate_id[:12]}…)",
        )
    except TopicDenied:
        return TopicDenied(
            f"{denied.cause} It may connect, so a policy is attached, and that policy does not have this topic.",
            cure="the operator compares the policy (the stack's output IotPolicy) with topics in cdk.json; a change"
            " takes minutes to take effect",
        )
    except DeviceError:
        return denied
    return TopicDenied(
        f"{denied.cause} Over MQTT it may, so the policy knows it as a thing, and not by its certificate.",
        cure="the policy's statements for HTTPS name a device by the certificate's common name or id; this one's are"
        f" {certificate.common_name!r} and {certificate.certificate_id[:12]}…",
    )
