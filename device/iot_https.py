"""AWS IoT's protocol for publishing over HTTPS: the URL of a topic, and what the answers mean.

https://docs.aws.amazon.com/iot/latest/developerguide/http.html
"""

import json
import re
from urllib.parse import quote

from .certificate import DeviceCertificate
from .cures import TELL_OPERATOR
from .errors import Busy, CertificateRefused, HungUp, TopicDenied, UnexpectedReply
from .https import Reply

# A UUID, as far as anybody has seen.
_TRACE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


def publish_url(endpoint: str, port: int, topic: str) -> str:
    """The URL to POST a message for ``topic`` to, with quality of service 1 (at least once)."""
    host = f"[{endpoint}]" if ":" in endpoint else endpoint
    return f"https://{host}:{port}/topics/{quote(topic, safe='/')}?qos=1"


def read_reply(reply: Reply, topic: str) -> str:
    """The trace id of a message that AWS IoT accepted.

    Raises:
        TopicDenied: the policy does not allow ``topic``.
        Busy: AWS IoT cannot accept it now; worth trying again.
        UnexpectedReply: it did not accept it for another reason.
    """
    trace = _trace_id(reply)
    where = f" (trace id {trace})" if trace else ""
    if reply.status == 200:
        return trace
    if reply.status in (401, 403):
        raise TopicDenied(
            f"the IoT policy does not allow this device to publish to {topic} ({reply.status}){where}.",
            cure="use a topic that configuration.json lists; a change of the policy takes effect after minutes",
        )
    if reply.status == 429 or reply.status >= 500:
        raise Busy(
            f"AWS IoT is busy or failing ({reply.status}){where}.",
            cure="the same command again later",
            retry_after=reply.retry_after,
        )
    raise UnexpectedReply(
        f"AWS IoT did not accept the message for {topic} ({reply.status}){where}.", cure=TELL_OPERATOR
    )


def refused(error: HungUp, endpoint: str, certificate: DeviceCertificate) -> CertificateRefused:
    """How an unknown or inactive certificate shows: AWS IoT sends an alert, or closes or resets the connection."""
    return CertificateRefused(
        f"AWS IoT at {endpoint} refused the certificate {certificate.certificate_id[:12]}…"
        f" ({error.cause.rstrip('.')}).",
        cure="wait a minute if the certificate is new; then ask the operator whether it is active: zymkey-fleet list",
    )


def _trace_id(reply: Reply) -> str:
    """AWS IoT's own id for the request, to ask its support about; empty when there is none that looks like one."""
    try:
        trace = json.loads(reply.body)["traceId"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return trace if isinstance(trace, str) and _TRACE_ID.fullmatch(trace) else ""
