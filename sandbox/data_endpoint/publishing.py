"""One publish request over HTTPS: decided by the attached policies, carried out in the emulator's broker.

Requests and replies as in the AWS IoT developer guide, "Device communication protocols", "HTTPS".
"""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError
from cryptography import x509

from pki.names import common_names

from .policy_evaluation import Request, evaluate
from .registry import RegisteredCertificate, Registry

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient

log = logging.getLogger(__name__)

MAX_PAYLOAD = 128 * 1024  # bytes; AWS IoT Core quota "Maximum publish message size"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Status, headers beside the usual ones, and a JSON body."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]

    def content(self) -> bytes:
        return json.dumps(self.body).encode()


@dataclass(frozen=True, kw_only=True)
class Session:
    """A TLS connection whose client has proved that it holds the key of ``certificate``."""

    certificate: x509.Certificate
    registered: RegisteredCertificate

    @property
    def common_name(self) -> str | None:
        return next(iter(common_names(self.certificate.subject)), None)

    def variables(self) -> dict[str, str]:
        """Policy variables of an HTTPS connection: those of the certificate, none of a thing or client id."""
        variables = {"iot:CertificateId": self.registered.certificate_id}
        if self.common_name is not None:
            variables["iot:Certificate.Subject.CommonName"] = self.common_name
        return variables


class Publisher:
    """Answers ``POST /topics/<topic>?qos=0|1``."""

    def __init__(self, registry: Registry, broker: "IoTDataPlaneClient") -> None:
        self._registry = registry
        self._broker = broker

    def answer(self, session: Session, method: str, target: str, payload: bytes) -> Reply:
        address = urlsplit(target)
        if method != "POST" or not address.path.startswith("/topics/"):
            return error(404, "ResourceNotFoundException", "Only POST /topics/<topic> is known here.")
        topic = unquote(address.path.removeprefix("/topics/"))
        qos = parse_qs(address.query).get("qos", ["0"])[0]
        if not topic or qos not in ("0", "1"):
            return error(400, "InvalidRequestException", "The topic is empty or qos is not 0 or 1.")
        if not session.registered.is_active or not self._may_publish(session, topic):
            log.info("refused %s on %s", session.registered.certificate_id, topic)
            return error(403, "ForbiddenException", None)
        try:
            self._broker.publish(topic=topic, qos=int(qos), payload=payload)
        except ClientError as refusal:
            return error(400, refusal.response["Error"]["Code"], refusal.response["Error"]["Message"])
        return _reply(200, "OK")

    def _may_publish(self, session: Session, topic: str) -> bool:
        """iot:Publish on the topic, and iot:Connect, which HTTPS needs as well.

        HTTPS has no client id; what AWS IoT takes for it is not documented, so a policy may name the client by
        the certificate's common name or by its id.
        """
        documents = self._registry.policies(session.registered)
        prefix = session.registered.arn.partition(":cert/")[0]

        def allowed(action: str, resource: str) -> bool:
            request = Request(action=action, resource=f"{prefix}:{resource}", variables=session.variables())
            return bool(evaluate(request, documents))

        clients = [session.common_name, session.registered.certificate_id]
        return allowed("iot:Publish", f"topic/{topic}") and any(
            allowed("iot:Connect", f"client/{client}") for client in clients if client
        )


def error(status: int, kind: str, message: str | None) -> Reply:
    return _reply(status, message, {"x-amzn-ErrorType": kind})


def _reply(status: int, message: str | None, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status=status, body={"message": message, "traceId": str(uuid.uuid4())}, headers=headers or {})
