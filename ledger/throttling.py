"""What AWS services answer when there were too many calls (the AWS SDKs' standard retry mode has the same list)."""

from typing import TypeGuard

from botocore.exceptions import ClientError

THROTTLING_CODES = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)

# A transaction that DynamoDB throttles is canceled instead, and each of its writes has a reason (DynamoDB API
# reference, TransactWriteItems).
CANCELED = "TransactionCanceledException"
_THROTTLED_WRITES = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})


def is_throttling(error: Exception) -> TypeGuard[ClientError]:
    """Whether an AWS service had too many calls."""
    if not isinstance(error, ClientError):
        return False
    code = error.response.get("Error", {}).get("Code")
    return code in THROTTLING_CODES or (code == CANCELED and not _THROTTLED_WRITES.isdisjoint(reasons(error)))


def reasons(error: ClientError) -> set[str]:
    """Why a transaction was canceled, of all its writes; ``None`` (as text) of those that were in order."""
    return {each.get("Code", "") for each in error.response.get("CancellationReasons", [])}
