"""What a transaction that DynamoDB cancels means: somebody else was faster, there is too much to do, or it failed."""

import pytest
from botocore.exceptions import ClientError

from functions.failures import refusal_for
from functions.refusals import Throttled
from ledger.dynamodb import ConditionFailed, Table
from ledger.throttling import is_throttling


@pytest.fixture
def pauses(monkeypatch):
    found = []
    monkeypatch.setattr("ledger.dynamodb.time.sleep", found.append)
    return found


def canceled(*codes, times=9):
    """A table whose next transactions are canceled for these reasons, one a write."""

    class Client:
        left = times

        def transact_write_items(self, **_):
            if not self.left:
                return
            self.left -= 1
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


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_throttled_transaction_is_tried_three_times_as_the_sdk_tries_other_calls_and_told_as_throttled(code, pauses):
    table = canceled("None", code, times=2)
    table.write(table.put({"pk": "a", "sk": "b"}))
    assert [0 <= pause <= longest for pause, longest in zip(pauses, (1, 2), strict=True)] == [True, True]
    table = canceled("ConditionalCheckFailed", code, times=3)
    with pytest.raises(ClientError) as told:
        table.write(table.put({"pk": "a", "sk": "b"}))
    assert len(pauses) == 4
    assert isinstance(refusal_for(told.value, request_id=""), Throttled), "Failed would raise an alarm"


def test_whatever_else_cancels_it_is_a_failure_and_no_refusal(pauses):
    table = canceled("ConditionalCheckFailed", "ValidationError")
    with pytest.raises(ClientError) as told:
        table.write(table.put({"pk": "a", "sk": "b"}))
    assert not is_throttling(told.value)
    assert pauses == []
