"""AWS IoT's HTTPS publish as a protocol: the address of a topic, and what the answers mean.

https://docs.aws.amazon.com/iot/latest/developerguide/http.html
"""

import json
from urllib.parse import quote

from .certificate import DeviceCertificate
from .errors import Busy, CertificateRefused, HungUp, TopicDenied, UnexpectedReply
from .https import Reply


def publish_url(endpoint: str, port: int, topic: str) -> str:
    """Where to POST a message for `topic`, to be delivered at least once."""
    host = f"[{endpoint}]" if ":" in endpoint else endpoint
    return f"https://{host}:{port}/topics/{quote(topic, safe='/')}?qos=1"


def read_reply(reply: Reply, topic: str) -> str:
    """The trace id of a message that was taken. Raises TopicDenied, Busy or UnexpectedReply otherwise."""
    trace = _trace_id(reply)
    where = f" (trace id {trace})" if trace else ""
    if reply.status == 200:
        return trace
    if reply.status in (401, 403):
        raise TopicDenied(
            f"the IoT policy does not let this device publish to {topic} ({reply.status}){where}.",
            cure="the topics that are allowed are in configuration.json; a change of policy takes minutes",
        )
    if reply.status == 429 or reply.status >= 500:
        raise Busy(
            f"AWS IoT is busy or out of order ({reply.status}){where}.",
            cure="it is worth trying again later",
            retry_after=reply.retry_after,
        )
    raise UnexpectedReply(f"AWS IoT did not take the message for {topic} ({reply.status}){where}.")


def refused(error: HungUp, endpoint: str, certificate: DeviceCertificate) -> CertificateRefused:
    """An unknown or inactive certificate shows in one of many ways: an alert, an end, a reset."""
    return CertificateRefused(
        f"AWS IoT at {endpoint} refused the certificate {certificate.certificate_id[:12]}…"
        f" ({error.cause.rstrip('.')}).",
        cure="it may need a minute after it was issued; else the operator sees whether it is active: zymkey-fleet list",
    )


def _trace_id(reply: Reply) -> str:
    try:
        document = json.loads(reply.body)
    except ValueError:
        return ""
    return str(document.get("traceId", "")) if isinstance(document, dict) else ""
