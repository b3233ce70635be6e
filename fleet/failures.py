"""What AWS and the ledger answer when they do not do what they were asked, as causes and cures for the operator."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from fleet.errors import (
    FleetError,
    NoCredentials,
    NoDeployment,
    NotPermitted,
    Refused,
    SdkFailed,
    UnexpectedReply,
    Unreachable,
)
from ledger import Busy, LedgerError
from ledger.throttling import THROTTLING_CODES

_LOG_IN = "log in again (`aws sso login` or `aws configure`), or name another profile with --profile"
_LATER = "run the same command again in a minute; nothing is lost"

_NOT_LOGGED_IN = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
)
_SESSION_OVER = (
    botocore_errors.SSOError,
    botocore_errors.TokenRetrievalError,
)
_NO_ANSWER = (
    botocore_errors.HTTPClientError,  # every kind of connection, proxy, TLS and time-out error
    botocore_errors.ConnectionError,
    botocore_errors.IncompleteReadError,
)
_EXPIRED_CODES = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_CODES = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"),
    *("InvalidAccessKeyId", "IncompleteSignature", "InvalidSignatureException"),
}
_DENIED_CODES = {
    *("AccessDenied", "AccessDeniedException", "UnauthorizedException", "UnauthorizedOperation", "NotAuthorized"),
    *("Forbidden", "ForbiddenException"),
}
# AWS failed; the same call may succeed later.
_FAILED_CODES = {
    *("ServiceUnavailable", "ServiceUnavailableException"),
    *("InternalFailure", "InternalFailureException", "InternalServerError"),
}


@contextmanager
def explained(*, if_refused: str = "") -> Iterator[None]:
    """Turn what the calls inside raise into a ``FleetError``. A defect of ours stays what it is.

    Args:
        if_refused: the cure where the ledger refuses; the command knows what it asked for.
    """
    try:
        yield
    except Busy as error:
        raise Unreachable(
            "Another request of this device is being processed.",
            cure=f"run the same command again in {error.retry_after} s",
        ) from None
    except LedgerError as error:
        raise Refused(str(error), cure=if_refused) from None
    except ClientError as error:
        raise _explain_reply(error) from None
    except BotoCoreError as error:
        raise _explain_no_reply(error) from None


def _explain_reply(error: ClientError) -> FleetError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    call = error.operation_name
    if code in _EXPIRED_CODES:
        return NoCredentials("The AWS session has expired.", cure=_LOG_IN)
    if code in _UNKNOWN_CODES:
        return NoCredentials(f"AWS does not accept these credentials ({code}).", cure=_LOG_IN)
    if code in _DENIED_CODES:
        return _explain_denial(call, message)
    if code in THROTTLING_CODES:
        return Unreachable(f"AWS throttled {call} ({code}).", cure=_LATER)
    if code in _FAILED_CODES:
        return Unreachable(f"AWS failed at {call} ({code}).", cure=_LATER)
    if code == "ResourceNotFoundException" and "able" in message:  # DynamoDB: a table that is not there
        return NoDeployment(f"The deployment's table does not exist: {message}", cure="cdk deploy --all")
    return UnexpectedReply(f"AWS answered {call} with {code}: {message.rstrip('.')}.")


def _explain_denial(call: str, message: str) -> NotPermitted:
    """Name the missing action and, where AWS says it, the resource; IAM's sentence has both."""
    action = re.search(r"perform: ([\w-]+:\w+)", message)
    resource = re.search(r"on resource: (\S+)", message)
    what = action[1] if action else call
    where = f" on {resource[1].rstrip('.')}" if resource else ""
    return NotPermitted(
        f"AWS does not permit {what}{where}.",
        cure="ask an administrator for the deployment's managed policy (stack output OperatorPolicyArn), which "
        "permits all that this command does",
    )


def _explain_no_reply(error: BotoCoreError) -> FleetError:
    if isinstance(error, _SESSION_OVER):
        return NoCredentials("The AWS single sign-on session has expired.", cure=_LOG_IN)
    if isinstance(error, _NOT_LOGGED_IN):
        return NoCredentials("There are no AWS credentials.", cure=_LOG_IN)
    if isinstance(error, botocore_errors.ProfileNotFound):
        return NoCredentials(_sentence(error), cure="name one that `aws configure list-profiles` shows")
    if isinstance(error, botocore_errors.NoRegionError):
        return NoDeployment("No AWS Region is chosen.", cure="add --region REGION, or set AWS_REGION")
    if isinstance(error, _NO_ANSWER):
        return Unreachable(
            f"No answer from AWS: {_sentence(error)}", cure="check this machine's network, the proxy and the Region"
        )
    return SdkFailed(
        f"The AWS SDK cannot make the request: {_sentence(error)}", cure="check ~/.aws/config, --region and --profile"
    )


def _sentence(error: BotoCoreError) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text}."
