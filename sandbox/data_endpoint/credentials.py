"""AWS IoT's credential provider: ``GET /role-aliases/<alias>/credentials``, decided by the attached policies.

Requests, and the answer that has credentials, as in the AWS IoT developer guide, "Authorizing direct calls to AWS
services"; refusals as AWS's own client has noted them
(https://awslabs.github.io/aws-iot-core-credential-provider-session-helper/dev_notes.html). On AWS it has a host of its
own, whose port is 443; here it shares the data endpoint's.
"""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ..emulated_role_aliases import CONTEXT
from .policy_evaluation import Request, evaluate
from .publishing import Reply, Session
from .registry import Registry

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_sts import STSClient

log = logging.getLogger(__name__)

THING_HEADER = "x-amzn-iot-thingname"
_TARGET = re.compile(r"/role-aliases/([\w=,@-]{1,128})/credentials")


class CredentialProvider:
    """Answers with credentials of the emulator's STS, which the emulator enforces as any other's."""

    def __init__(self, registry: Registry, iot: "IoTClient", iam: "IAMClient", sts: "STSClient") -> None:
        self._registry = registry
        self._iot, self._iam, self._sts = iot, iam, sts

    @staticmethod
    def is_asked(target: str) -> bool:
        return target.startswith("/role-aliases/")

    def answer(self, session: Session, method: str, target: str, headers: Mapping[str, str]) -> Reply:
        """``headers`` by their names in lower case."""
        asked = _TARGET.fullmatch(target)
        if method != "GET" or asked is None:
            return _refusal(404, "ResourceNotFoundException", "Only /role-aliases/<alias>/credentials is known here.")
        # The endpoint lets in what is PENDING_ACTIVATION, whose policy may be attached already.
        if not session.registered.is_active:
            return _refusal(403, "AccessDeniedException", "Certificate is invalid on this endpoint")
        thing = headers.get(THING_HEADER)
        if thing is not None and thing not in self._registry.things(session.registered):
            return _refusal(403, "AccessDeniedException", "Invalid thing name passed")
        if not self._may_have(session, asked[1]):
            return _refusal(403, "AccessDeniedException", "Access Denied")
        try:
            alias = self._iot.describe_role_alias(roleAlias=asked[1])["roleAliasDescription"]
        except self._iot.exceptions.ResourceNotFoundException:
            return _refusal(404, "ResourceNotFoundException", "Role alias does not exist")
        return self._assumed(session, thing, alias["roleArn"], alias["credentialDurationSeconds"])

    def _may_have(self, session: Session, alias: str) -> bool:
        prefix = session.registered.arn.partition(":cert/")[0]
        request = Request(
            action="iot:AssumeRoleWithCertificate",
            resource=f"{prefix}:rolealias/{alias}",
            variables=session.variables(),
        )
        return bool(evaluate(request, self._registry.policies(session.registered)))

    def _assumed(self, session: Session, thing: str | None, role: str, seconds: int) -> Reply:
        context = {"AwsCertificateId": session.registered.certificate_id}
        if thing is not None:
            context["ThingName"] = thing
        try:
            longest = self._iam.get_role(RoleName=role.rpartition("/")[2])["Role"].get("MaxSessionDuration", 3600)
            if seconds > longest:
                sentence = "The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role"
                return _refusal(400, "InvalidRequestException", sentence)
            given = self._sts.assume_role(
                RoleArn=role,
                RoleSessionName=session.registered.certificate_id,
                DurationSeconds=seconds,
                Tags=[{"Key": f"{CONTEXT}{name}", "Value": value} for name, value in context.items()],
            )["Credentials"]
        except ClientError as refusal:
            log.info("the role %s cannot be assumed: %s", role, refusal)
            sentence = "Unable to assume the role, or the role to assume does not exist"
            return _refusal(400, "InvalidRequestException", sentence)
        credentials = {
            "accessKeyId": given["AccessKeyId"],
            "secretAccessKey": given["SecretAccessKey"],
            "sessionToken": given["SessionToken"],
            "expiration": f"{given['Expiration']:%Y-%m-%dT%H:%M:%SZ}",
        }
        return Reply(status=200, body={"credentials": credentials}, headers={})


def _refusal(status: int, kind: str, message: str) -> Reply:
    return Reply(status=status, body={"message": message}, headers={"x-amzn-ErrorType": kind})
