"""What AWS and the ledger answer when they do not do what they were asked, as causes and cures for the operator."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from fleet.errors import (
    FleetError,
    NoCredentials,
    NoDeployment,
    NotPermitted,
    Refused,
    UnexpectedReply,
    Unreachable,
    WrongClock,
)
from fleet.roles import policy_to_ask_for
from fleet.sdk_errors import LOG_IN, explain_credential_provider, explain_sdk_error, is_about_credentials
from ledger import Busy, LedgerError
from ledger.throttling import is_throttling

_LATER = "run the same command again in a minute; nothing is lost"

_EXPIRED_CODES = {"ExpiredToken", "ExpiredTokenException"}
# Always, or with such a message, what a wrong clock makes of good credentials: a signature is valid for some minutes.
_CLOCK_CODES = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
_CLOCK_MESSAGES = ("Signature expired", "Signature not yet current", "is not within the allowed window")
_UNKNOWN_CODES = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"),
    *("InvalidAccessKeyId", "IncompleteSignature", "InvalidSignatureException"),
}
DENIED_CODES = {
    *("AccessDenied", "AccessDeniedException", "UnauthorizedException", "UnauthorizedOperation", "NotAuthorized"),
    *("Forbidden", "ForbiddenException"),
}
# AWS failed; the same call may succeed later.
_FAILED_CODES = {
    *("ServiceUnavailable", "ServiceUnavailableException"),
    *("InternalFailure", "InternalFailureException", "InternalServerError"),
}


@contextmanager
def explained(*, if_refused: str | Callable[[], str] = "") -> Iterator[None]:
    """Turn what the calls inside raise into a ``FleetError``. A defect of ours stays what it is.

    Args:
        if_refused: the cure where the ledger refuses; the command knows what it asked for. A function looks at the
            ledger for it, and is only called then.
    """
    try:
        yield
    except Busy as error:
        raise Unreachable(
            "Another request of this device is being processed.",
            cure=f"run the same command again in {error.retry_after} s",
        ) from None
    except LedgerError as error:
        with explained():
            cure = if_refused if isinstance(if_refused, str) else if_refused()
        raise Refused(str(error), cure=cure) from None
    except ClientError as error:
        raise _explain_reply(error) from None
    except BotoCoreError as error:
        raise explain_sdk_error(error) from None
    except FleetError:
        raise
    except Exception as error:
        if is_about_credentials(error):  # they are also taken again in the middle of a long command
            raise explain_credential_provider(error) from None
        raise


def _explain_reply(error: ClientError) -> FleetError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    call = error.operation_name
    if code in _CLOCK_CODES or any(each in message for each in _CLOCK_MESSAGES):
        return _explain_clock(error)
    if code in _EXPIRED_CODES:
        return NoCredentials("The AWS session has expired.", cure=LOG_IN)
    if code in _UNKNOWN_CODES:
        return NoCredentials(f"AWS does not accept these credentials ({code}).", cure=LOG_IN)
    if code in DENIED_CODES:
        return _explain_denial(call, message)
    if is_throttling(error):
        return Unreachable(f"AWS throttled {call} ({code}).", cure=_LATER)
    if code in _FAILED_CODES:
        return Unreachable(f"AWS failed at {call} ({code}).", cure=_LATER)
    if code == "ResourceNotFoundException" and "able" in message:  # DynamoDB: a table that is not there
        return NoDeployment(f"The deployment's table does not exist: {message}", cure="cdk deploy --all")
    return UnexpectedReply(f"AWS answered {call} with {code}: {message.rstrip('.')}.")


def _explain_clock(error: ClientError) -> FleetError:
    """With AWS's own time, which every reply has in a header."""
    here = datetime.now(UTC)
    says = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    return WrongClock(
        f"This machine's clock is wrong, so AWS does not accept what it signs: it says {here:%Y-%m-%d %H:%M:%S} UTC"
        f"{f', AWS says {says}' if says else ''}.",
        cure="set the clock (`sudo timedatectl set-ntp true`, `date`), and run the same command again",
    )


def _explain_denial(call: str, message: str) -> NotPermitted:
    """Name the missing action and, where AWS says it, the resource; IAM's sentence has both."""
    action = re.search(r"perform: ([\w-]+:\w+)", message)
    resource = re.search(r"on resource: (\S+)", message)
    what = action[1] if action else call
    where = f" on {resource[1].rstrip('.')}" if resource else ""
    return NotPermitted(
        f"AWS does not permit {what}{where}.",
        cure=f"ask an administrator for {policy_to_ask_for(call)}",
    )
