"""What AWS and the ledger answer when they do not do what they were asked, as sentences for the operator."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from fleet.errors import FleetError, NoCredentials, NoDeployment, NotPermitted, Refused, Unreachable
from ledger import Busy, LedgerError
from ledger.throttling import THROTTLING_CODES

_LOG_IN = "Log in again (`aws sso login` or `aws configure`), or name another profile with --profile"

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
def explained() -> Iterator[None]:
    """Turn what a command's calls raise into a ``FleetError``. What is a mistake of ours stays what it is."""
    try:
        yield
    except Busy as error:
        raise Unreachable(f"The device is being worked on; try again in {error.retry_after} s.") from None
    except LedgerError as error:
        raise Refused(str(error)) from None
    except ClientError as error:
        raise _explain_reply(error) from None
    except BotoCoreError as error:
        raise _explain_no_reply(error) from None


def _explain_reply(error: ClientError) -> FleetError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    call = error.operation_name
    if code in _EXPIRED_CODES:
        return NoCredentials(f"The AWS session has expired. {_LOG_IN}.")
    if code in _UNKNOWN_CODES:
        return NoCredentials(f"AWS does not accept these credentials ({code}). {_LOG_IN}.")
    if code in _DENIED_CODES:
        return NotPermitted(_explain_denial(call, message))
    if code in THROTTLING_CODES:
        return Unreachable(f"AWS throttled {call} ({code}). Nothing is lost; try again in a minute.")
    if code in _FAILED_CODES:
        return Unreachable(f"AWS failed at {call} ({code}). Nothing is lost; try again in a minute.")
    if code == "ResourceNotFoundException" and "able" in message:  # DynamoDB: a table that is not there
        return NoDeployment(f"The deployment's table is gone: {message} Deploy again with `cdk deploy --all`.")
    return FleetError(f"AWS answered {call} with {code}: {message.rstrip('.')}.")


def _explain_denial(call: str, message: str) -> str:
    """Name the missing action and, where AWS says it, the resource; IAM's sentence has both."""
    action = re.search(r"perform: ([\w-]+:\w+)", message)
    resource = re.search(r"on resource: (\S+)", message)
    what = action[1] if action else call
    where = f" on {resource[1].rstrip('.')}" if resource else ""
    return (
        f"AWS does not permit {what}{where}. Ask an administrator for the deployment's managed policy "
        "(stack output OperatorPolicyArn), which holds all that this command needs."
    )


def _explain_no_reply(error: BotoCoreError) -> FleetError:
    if isinstance(error, _SESSION_OVER):
        return NoCredentials(f"The AWS single sign-on session has expired. {_LOG_IN}.")
    if isinstance(error, _NOT_LOGGED_IN):
        return NoCredentials(f"No AWS credentials were found. {_LOG_IN}.")
    if isinstance(error, botocore_errors.ProfileNotFound):
        return NoCredentials(f"{_sentence(error)} `aws configure list-profiles` shows those that exist.")
    if isinstance(error, botocore_errors.NoRegionError):
        return NoDeployment("No AWS Region is chosen. Say --region, or set AWS_REGION.")
    if isinstance(error, _NO_ANSWER):
        return Unreachable(f"No answer from AWS: {_sentence(error)} Is this machine online, and the Region right?")
    return FleetError(f"The AWS SDK cannot go on: {_sentence(error)}")


def _sentence(error: BotoCoreError) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text}."
