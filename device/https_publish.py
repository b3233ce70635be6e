"""Publish over HTTPS with mutual TLS: AWS IoT's data endpoint, port 8443.

https://docs.aws.amazon.com/iot/latest/developerguide/http.html
"""

import json
import ssl
from urllib.parse import quote

from . import https
from .certificate import DeviceCertificate
from .errors import Busy, CertificateRefused, HungUp, NetworkError, TopicDenied, UnexpectedReply
from .keys import DeviceKey
from .tls import present


class HttpsPublisher:
    """One device at one data endpoint. Each publish is a connection, so one signature by the key."""

    def __init__(
        self,
        *,
        endpoint: str,
        port: int,
        certificate: DeviceCertificate,
        key: DeviceKey,
        context: ssl.SSLContext,
    ) -> None:
        host = f"[{endpoint}]" if ":" in endpoint else endpoint
        self._endpoint = endpoint
        self._base = f"https://{host}:{port}/topics/"
        self._context = context
        self._certificate = certificate
        self._signer = present(context, certificate, key)

    def publish(self, topic: str, payload: bytes) -> str:
        """Publish with quality of service 1 and return AWS IoT's trace id.

        Raises KeyUnavailable, CertificateRefused, TopicDenied (naming the topic), Busy, UnexpectedReply, and
        what `https.request` raises.
        """
        self._signer.failure = None
        url = self._base + quote(topic, safe="/") + "?qos=1"
        try:
            reply = https.request("POST", url, context=self._context, body=payload)
        except NetworkError as error:
            if self._signer.failure is not None:
                raise self._signer.failure from None
            if isinstance(error, HungUp):
                raise self._refused(error) from None
            raise
        if reply.status == 200:
            return str(_document(reply).get("traceId", ""))
        raise self._failure(reply, topic)

    def _refused(self, error: HungUp) -> CertificateRefused:
        # An unknown or inactive certificate shows in one of many ways: an alert, an end, a reset.
        return CertificateRefused(
            f"AWS IoT at {self._endpoint} refused the certificate {self._certificate.certificate_id[:12]}…"
            f" ({error.cause.rstrip('.')}).",
            cure="it may need a minute after it was issued; else the operator sees whether it is active:"
            " zymkey-fleet list",
        )

    def _failure(self, reply: https.Reply, topic: str) -> TopicDenied | Busy | UnexpectedReply:
        trace = _document(reply).get("traceId")
        where = f" (trace id {trace})" if trace else ""
        if reply.status in (401, 403):
            return TopicDenied(
                f"the IoT policy does not let this device publish to {topic} ({reply.status}){where}.",
                cure="the topics that are allowed are in configuration.json; a change of policy takes minutes",
            )
        if reply.status == 429 or reply.status >= 500:
            return Busy(
                f"AWS IoT is busy or out of order ({reply.status}){where}.",
                cure="it is worth trying again later",
                retry_after=reply.retry_after,
            )
        return UnexpectedReply(f"AWS IoT did not take the message for {topic} ({reply.status}){where}.")


def _document(reply: https.Reply) -> dict[str, object]:
    try:
        document = json.loads(reply.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
