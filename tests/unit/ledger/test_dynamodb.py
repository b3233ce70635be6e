"""What a transaction that DynamoDB cancels means: somebody else was faster, or it failed."""

import pytest
from botocore.exceptions import ClientError

from ledger.dynamodb import ConditionFailed, Table


def canceled(*codes):
    """A table whose next transaction is canceled for these reasons, one a write."""

    class Client:
        def transact_write_items(self, **_):
            raise ClientError(
                {
                    "Error": {"Code": "TransactionCanceledException"},
                    "CancellationReasons": [{"Code": code} for code in codes],
                },
                "TransactWriteItems",
            )

    return Table(client=Client(), name="ledger")


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "TransactionConflict"])
def test_a_condition_or_another_transaction_stands_in_the_way(code):
    table = canceled("None", code)
    with pytest.raises(ConditionFailed):
        table.write(table.put({"pk": "a", "sk": "b"}))


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded", "ValidationError"])
def test_whatever_else_cancels_it_is_a_failure_and_no_refusal(code):
    table = canceled("ConditionalCheckFailed", code)
    with pytest.raises(ClientError):
        table.write(table.put({"pk": "a", "sk": "b"}))
