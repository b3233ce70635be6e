"""A ledger in a table of its own."""

import pytest

from ledger import Ledger
from tests.support.ledger import create_table


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
