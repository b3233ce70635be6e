"""A ledger in a table of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger import Ledger, LedgerError
from tests.support.ledger import THREADS, create_table


@pytest.fixture(scope="session")
def dynamodb(aws):
    return aws("dynamodb")


@pytest.fixture
def table(dynamodb):
    return create_table(dynamodb)


@pytest.fixture
def ledger(dynamodb, table):
    return Ledger(client=dynamodb, table=table)


@pytest.fixture
def items(dynamodb, table):
    """A function that returns all that the table holds, in an order that only changes with the content."""
    return lambda: sorted(dynamodb.scan(TableName=table)["Items"], key=str)


@pytest.fixture
def at_once(dynamodb, table):
    """A function that lets threads call ``action(ledger, number)`` at the same moment; returns what each got."""

    def run(action, count=THREADS):
        start = threading.Barrier(count)

        def one(number):
            ledger = Ledger(client=dynamodb, table=table)
            start.wait()
            try:
                return action(ledger, number) or "done"
            except LedgerError as refusal:
                return type(refusal)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run
