"""The deployment's HTTP API, as the operator's command uses it."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from fleet.errors import Refused, UnexpectedReply, Unreachable
from fleet.https import HttpsSession, Reply

_ATTEMPTS = 6
_MAX_WAIT_SECONDS = 30
# "Not yet", "too many", "later": the reply says after how many seconds (RFC 9110 section 10.2.3). 500 is API Gateway's
# own, while CloudFormation updates the function or Lambda has no place for another call.
TRY_AGAIN = {202, 429, 500, 502, 503, 504}


class EnrollmentApi:
    """The deployment's API at its enrollment URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = HttpsSession()

    def send(self, method: str, path: str, **options: Any) -> Reply:
        """Make one request and return its reply, whatever the status.

        Raises:
            Unreachable, SdkFailed, UnexpectedReply: there was no reply, or a redirect.
        """
        return self._session.send(method, self.url + path, **options)

    def ca_certificates(self) -> list[x509.Certificate]:
        """The CA certificates of the fleet (EST, RFC 7030 section 4.1), in no order.

        Raises:
            Unreachable, UnexpectedReply: there was no reply, or one that is not known here.
        """
        reply = self._patiently("GET", "/.well-known/est/cacerts")
        if reply.status_code != 200:
            raise _unexpected(reply)
        return read_certificates(reply)

    def configuration(self) -> dict[str, Any]:
        """``GET /configuration``: the data endpoint, its ports, the topics, the issuer.

        Raises:
            Unreachable, UnexpectedReply: there was no reply, or one that is not known here.
        """
        reply = self._patiently("GET", "/configuration")
        if reply.status_code != 200:
            raise _unexpected(reply)
        configuration = _json_object(reply, "dataEndpoint", "httpsPort", "mqttPort", "topics", "issuer")
        if not (isinstance(configuration["dataEndpoint"], str) and _are_topics(configuration["topics"])):
            raise _unexpected(reply)
        return configuration

    def upload(self, certificate: x509.Certificate) -> str:
        """Register a certificate that was signed elsewhere; returns its device's name.

        When the reply is lost, the request is sent again: the same certificate cannot be registered twice.

        Raises:
            Refused: the endpoint's own sentence.
            Unreachable: there was no reply, or the API was busy for too long.
            UnexpectedReply: the reply is not known here.
        """
        reply = self._patiently(
            "POST",
            "/certificates",
            unanswered_too=True,
            data=certificate.public_bytes(Encoding.PEM),
            headers={"Content-Type": "application/x-pem-file"},
        )
        if reply.status_code == 200:
            return str(_json_object(reply, "device")["device"])
        if reply.status_code in TRY_AGAIN:
            raise Unreachable(_sentence(reply), cure="run the same command again in a minute")
        if 400 <= reply.status_code < 500:
            raise Refused(_sentence(reply))
        raise _unexpected(reply)

    def _patiently(self, method: str, path: str, *, unanswered_too: bool = False, **options: Any) -> Reply:
        """The first reply that is not "later", or the last one.

        Args:
            unanswered_too: send it again also when there was no reply.
        """
        for attempt in range(1, _ATTEMPTS):
            try:
                reply = self.send(method, path, **options)
            except Unreachable:
                if not unanswered_too:
                    raise
                time.sleep(attempt)
                continue
            if reply.status_code not in TRY_AGAIN:
                return reply
            time.sleep(_retry_after(reply))
        return self.send(method, path, **options)


def read_certificates(reply: Reply) -> list[x509.Certificate]:
    """The certificates of a reply in EST's form: base64 of a certs-only PKCS#7."""
    try:
        return pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.content))
    except Exception:  # noqa: BLE001 - what odd bytes make the library raise is written nowhere
        raise _unexpected(reply) from None


def _json_object(reply: Reply, *names: str) -> dict[str, Any]:
    """What a reply says, when it is a JSON object with at least these names."""
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        raise _unexpected(reply) from None
    if not isinstance(content, dict) or not set(names) <= content.keys():
        raise _unexpected(reply)
    return content


def _are_topics(value: object) -> bool:
    """Lists of templates to publish and to subscribe to; there is at least one to publish."""
    if not isinstance(value, dict) or not value.get("publish"):
        return False
    lists = value["publish"], value.get("subscribe")
    return all(isinstance(each, list) and all(isinstance(topic, str) for topic in each) for each in lists)


def _retry_after(reply: Reply) -> int:
    """Seconds, bounded on both sides; 1 for what is no whole number of seconds."""
    text = reply.headers.get("Retry-After", "").strip()
    asked = int(text) if re.fullmatch("[0-9]{1,9}", text) else 1
    return min(max(asked, 1), _MAX_WAIT_SECONDS)


def _sentence(reply: Reply) -> str:
    return " ".join(reply.text.split())[:500] or f"HTTP {reply.status_code}."


def _unexpected(reply: Reply) -> UnexpectedReply:
    return UnexpectedReply(
        f"{reply.url} answered {reply.status_code}, which this command does not know: {_sentence(reply)}",
        cure="check that the URL is this deployment's (--url, $ENROLLMENT_URL), and the enroll function's log",
    )
