"""AWS IoT's credential provider: the URL to ask, and what the answers mean.

https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html. The refusals are those that AWS's own
client has noted: https://awslabs.github.io/aws-iot-core-credential-provider-session-helper/dev_notes.html
"""

import datetime
import json
import time
from dataclasses import dataclass, field
from typing import Any

from .cures import SET_CLOCK, TELL_OPERATOR
from .errors import Busy, CertificateRefused, ClockWrong, CredentialsDenied, RoleAliasUnknown, UnexpectedReply
from .https import Reply
from .text import printable

PORT = 443
THING_HEADER = "x-amzn-iot-thingname"

_LONGEST_LIFE = 43200  # CreateRoleAlias: credentialDurationSeconds
_TOLERANCE = 300  # seconds; AWS refuses signatures whose time is further off
_ATTACHED = "it attaches the device's certificate to its thing at enrollment"


@dataclass(frozen=True)
class Credentials:
    """Of a role in AWS, for a while. ``expires`` is ``expiration`` in seconds since 1970."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: str
    expires: float

    def document(self) -> dict[str, Any]:
        """What AWS's SDKs read from a ``credential_process``.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
        """
        return {
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key,
            "SessionToken": self.session_token,
            "Expiration": self.expiration,
        }


def credentials_url(endpoint: str, port: int, role_alias: str) -> str:
    host = f"[{endpoint}]" if ":" in endpoint else endpoint
    return f"https://{host}:{port}/role-aliases/{role_alias}/credentials"


def read_reply(reply: Reply, *, thing: str, role_alias: str) -> Credentials:
    """The credentials that AWS IoT gives.

    Raises:
        CredentialsDenied: the policy does not allow them, or the role cannot be taken.
        RoleAliasUnknown: there is no such role alias.
        CertificateRefused: the certificate is none that this account knows.
        Busy, UnexpectedReply: AWS IoT cannot answer, or not so.
        ClockWrong: by this machine's clock, the credentials have expired, or live for longer than any do.
    """
    if reply.status == 200:
        return _read(reply.body)
    said = _message(reply)
    shown = f" ({reply.status}{f': {said}' if said else ''})"
    if reply.status == 404:
        raise RoleAliasUnknown(
            f"AWS IoT has no role alias {role_alias}{shown}: the fleet gives no AWS credentials any more, or its "
            "deployment is not complete.",
            cure=TELL_OPERATOR,
        )
    if reply.status in (401, 403) and "certificate" in said.lower():
        raise CertificateRefused(
            f"AWS IoT does not give this certificate AWS credentials{shown}.",
            cure="ask the operator whether it is active: zymkey-fleet list; or bootstrap again",
        )
    if reply.status in (401, 403) and "thing name" in said.lower():
        raise CredentialsDenied(
            f"AWS IoT does not know this certificate as the thing {thing}'s{shown}: {_ATTACHED}.",
            cure="use the name that this device has enrolled with (zymkey-iot status); or tell the operator",
        )
    if reply.status in (401, 403):
        raise CredentialsDenied(
            f"the IoT policy does not allow this device the AWS credentials of {role_alias}{shown}.",
            cure="the same command again in ten minutes, if the fleet was deployed a moment ago; or tell the operator: "
            "the fleet gives no AWS credentials any more, or its policy does not allow iot:AssumeRoleWithCertificate",
        )
    if reply.status == 400:
        raise CredentialsDenied(
            f"AWS IoT cannot take the role behind {role_alias}{shown}.",
            cure="tell the operator: the role or its longest session was changed by hand, and cdk deploy puts it right",
        )
    if reply.status == 429 or reply.status >= 500:
        raise Busy(
            f"AWS IoT is busy or failing{shown}.", cure="the same command again later", retry_after=reply.retry_after
        )
    raise UnexpectedReply(f"AWS IoT did not give AWS credentials{shown}.", cure=TELL_OPERATOR)


def _read(body: bytes) -> Credentials:
    unexpected = UnexpectedReply("AWS IoT sent AWS credentials that cannot be read.", cure=TELL_OPERATOR)
    try:
        members = json.loads(body)["credentials"]
        texts = [members[name] for name in ("accessKeyId", "secretAccessKey", "sessionToken", "expiration")]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise unexpected from None
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() and text for text in texts):
        raise unexpected
    try:
        expiry = datetime.datetime.fromisoformat(texts[3].replace("Z", "+00:00"))
        expires = (expiry if expiry.tzinfo else expiry.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        raise unexpected from None
    access_key_id, secret_access_key, session_token, expiration = texts
    credentials = Credentials(access_key_id, secret_access_key, session_token, expiration, expires)
    left = expires - time.time()
    if left <= 0:
        raise ClockWrong(
            f"the AWS credentials that were given a moment ago expired at {credentials.expiration}, by this machine's "
            "clock.",
            cure=SET_CLOCK,
        )
    if left > _LONGEST_LIFE + _TOLERANCE:
        raise ClockWrong(
            f"AWS gives no credentials for as long as until {credentials.expiration}, by this machine's clock.",
            cure=SET_CLOCK,
        )
    return credentials


def _message(reply: Reply) -> str:
    """AWS's own sentence, which has no secret."""
    try:
        message = json.loads(reply.body)["message"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return printable(message[:200]).strip().rstrip(".") if isinstance(message, str) else ""
