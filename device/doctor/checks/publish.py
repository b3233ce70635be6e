"""One message to the device's own topic, for two checks: is the certificate accepted, and is the topic allowed."""

from ...errors import Busy, CertificateRefused, ConnectDenied, DeviceError, TopicDenied, UnexpectedReply
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok


def certificate_accepted(examination: Examination) -> Finding:
    """Any HTTP answer means that the handshake was finished and that AWS IoT knows the certificate."""
    if examination.by_curl and examination.results["curl-engine"].status is Status.FAILED:
        raise Skipped("curl has to find the engine first.", needs="curl-engine")
    outcome = examination.publish
    if isinstance(outcome, DeviceError) and not isinstance(outcome, TopicDenied | Busy | UnexpectedReply):
        raise outcome
    return ok(f"by {examination.data_endpoint.host}")


def publish(examination: Examination) -> Finding:
    outcome = examination.publish
    if not examination.configuration.publish:
        raise Skipped("this fleet does not allow its devices to publish.")
    if isinstance(outcome, TopicDenied):
        raise _told_apart(outcome, examination)
    if isinstance(outcome, DeviceError):
        raise outcome
    return ok(outcome, topic=outcome)


def _told_apart(denied: TopicDenied, examination: Examination) -> TopicDenied:
    """No policy and the wrong policy look the same over HTTPS. Over MQTT connecting is a step of its own."""
    from ...steps import test_message

    certificate = examination.the_certificate()
    topic = examination.own_topic(examination.settings.name)
    try:
        examination.device().mqtt().run(topic, test_message(examination.settings.name, "doctor"))
    except (ConnectDenied, CertificateRefused):
        return TopicDenied(
            f"{denied.cause} It cannot connect over MQTT either: its certificate has no policy of the fleet.",
            cure="ask the operator to check it (zymkey-fleet audit), and to attach the policy: aws iot attach-policy"
            " --policy-name (the stack's output IotPolicy) --target (the ARN of certificate"
            f" {certificate.certificate_id[:12]}…)",
        )
    except TopicDenied:
        return TopicDenied(
            f"{denied.cause} It can connect, so a policy is attached, but that policy does not allow this topic.",
            cure="ask the operator to compare the policy (the stack's output IotPolicy) with topics in cdk.json; a"
            " change takes effect after minutes",
        )
    except DeviceError:
        return denied
    return TopicDenied(
        f"{denied.cause} It can publish over MQTT, so the policy allows the thing, but not the certificate.",
        cure="ask the operator to check the policy's statement for HTTPS: it names devices by their certificate's"
        f" common name or id, here {certificate.common_name!r} and {certificate.certificate_id[:12]}…",
    )
