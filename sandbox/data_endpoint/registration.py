"""Just-in-time registration over HTTPS: a certificate that the registry does not know meets the endpoint.

AWS documents it for MQTT alone; over HTTPS Nordic's nRF Cloud library relies on it (``POST :8443/topics/jitp``): the
first connection ends without a reply, later ones are answered with 403 until the certificate is active. The rules are
those of the emulator's broker (AWS IoT developer guide, "Just-in-time registration"): the certificate's CA is ACTIVE,
and its auto-registration is ENABLE. While the file ``switch`` exists, HTTPS registers nothing, as MQTT alone might.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from .registry import PENDING, RegisteredCertificate

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot_data import IoTDataPlaneClient

log = logging.getLogger(__name__)

SWITCH = "https-registers-nothing"
"""The file in the sandbox's folder."""
_ROLE = "data-endpoint"


class JustInTimeRegistration:
    """Registers what it is shown, and tells the fleet."""

    def __init__(self, iot: "IoTClient", iam: "IAMClient", broker: "IoTDataPlaneClient", *, switch: Path) -> None:
        self._iot, self._iam, self._broker = iot, iam, broker
        self._switch = switch
        self._one_at_a_time = threading.Lock()

    def register(self, certificate: x509.Certificate, *, certificate_id: str, source: str) -> bool:
        """Make an unknown certificate PENDING_ACTIVATION; False when no CA wants that, or the switch is set."""
        if self._switch.exists():
            return False
        with self._one_at_a_time:
            signers = [each for each in self._authorities() if _has_signed(each, certificate)]
            # Of one subject and key in several registrations none could be named.
            if len(signers) != 1:
                return False
            try:
                self._iot.register_certificate(
                    certificatePem=certificate.public_bytes(Encoding.PEM).decode(),
                    caCertificatePem=signers[0]["certificatePem"],
                    status="INACTIVE",
                )
            except self._iot.exceptions.ResourceAlreadyExistsException:
                return False  # two connections at once
            # RegisterCertificate refuses this status, and AWS IoT has no other call for it; the emulator takes it here.
            self._iot.update_certificate(certificateId=certificate_id, newStatus="PENDING_ACTIVATION")
        self._tell(certificate_id, signers[0], registered_at=None, source=source)
        return True

    def repeat(self, registered: RegisteredCertificate, *, source: str) -> bool:
        """Tell the fleet again of a certificate that is still PENDING_ACTIVATION; False as for ``register``."""
        if self._switch.exists() or registered.status != PENDING:
            return False
        for authority in self._authorities():
            if authority["certificateId"] == registered.ca_certificate_id:
                registered_at = str(int(registered.created_at.timestamp() * 1000))
                self._tell(registered.certificate_id, authority, registered_at=registered_at, source=source)
                return True
        return False

    def _authorities(self) -> "Iterator[Any]":
        """The CAs that register now."""
        for listed in self._iot.list_ca_certificates()["certificates"]:
            found = self._iot.describe_ca_certificate(certificateId=listed["certificateId"])["certificateDescription"]
            if found["status"] == "ACTIVE" and found["autoRegistrationStatus"] == "ENABLE":
                yield found

    def _tell(self, certificate_id: str, authority: Any, *, registered_at: str | None, source: str) -> None:
        event = {
            "certificateId": certificate_id,
            "caCertificateId": authority["certificateId"],
            "timestamp": int(time.time() * 1000),
            "certificateStatus": PENDING,
            "awsAccountId": authority["ownedBy"],
            "certificateRegistrationTimestamp": registered_at,
            "sourceIp": source,
        }
        topic = f"$aws/events/certificates/registered/{authority['certificateId']}"
        # Only AWS IoT itself writes there, and the emulator insists on it; but a topic rule may republish.
        name = f"data_endpoint_{secrets.token_hex(8)}"
        self._iot.create_topic_rule(
            ruleName=name,
            topicRulePayload={
                "sql": f"SELECT * FROM '{name}'",  # noqa: S608
                "actions": [{"republish": {"roleArn": self._role(), "topic": topic, "qos": 1}}],
                "awsIotSqlVersion": "2016-03-23",
            },
        )
        try:
            self._broker.publish(topic=name, qos=1, payload=json.dumps(event).encode())
        finally:
            self._iot.delete_topic_rule(ruleName=name)
        log.info("told the fleet of %s, which is PENDING_ACTIVATION", certificate_id)

    def _role(self) -> str:
        """A role that exists: the emulator asks no more of a republish action."""
        try:
            return self._iam.get_role(RoleName=_ROLE)["Role"]["Arn"]
        except self._iam.exceptions.NoSuchEntityException:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "iot.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
            document = json.dumps({"Version": "2012-10-17", "Statement": statement})
            return self._iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=document)["Role"]["Arn"]


def _has_signed(authority: Any, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority["certificatePem"].encode()))
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
