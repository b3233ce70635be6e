"""What a run with a million devices costs on AWS, from what a smaller one has called and read here.

Prices are of us-east-1 (DynamoDB on demand: 0.125 USD a million read request units, 0.625 a million write request
units); AWS IoT charges nothing for the registry's calls that these commands make. Rates are AWS IoT's quotas for an
account and Region, and for DynamoDB what one connection gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000

USD_READ, USD_WRITE = 0.125 / MILLION, 0.625 / MILLION
# An eventually consistent read of 4 kB is half a unit, a strongly consistent one a whole (DynamoDB Developer Guide).
BYTES_A_UNIT = 8192
PAGE_BYTES = MILLION
# Calls a second: AWS IoT's by its quotas, or a share of it that a command keeps to; DynamoDB's pages of 1 MB by what
# takes 0.1 s each, four at a time for a Scan.
_RATES = {
    "iot:ListCertificates": 10.0,
    "iot:ListTargetsForPolicy": 10.0,
    "iot:DescribeCertificate": 10.0,
    "iot:ListAttachedPolicies": 10.0,
    "iot:UpdateCertificate": 8.0,
    "iot:ListThings": 10.0,
    "dynamodb:Query": 10.0,
    "dynamodb:Scan": 40.0,
}


# AWS IoT's lists give 250 a call (API reference).
PAGE = 250
# Of what is read again, several calls a certificate, DescribeCertificate binds. Deletions keep to their own pace.
DESCRIBED_A_SECOND, DELETED_A_SECOND = 10.0, 4.0


def daily_audit_seconds(
    *, devices: int, registered: float, table_bytes: int, differing: float = 0.0, deleted: int = 0
) -> float:
    """How long the daily audit in AWS takes: its lists side by side, then the ledger, then what is done one by one.

    Args:
        registered: certificates in AWS IoT for each device, inactive ones included.
        table_bytes: of the ledger, for each device.
        differing: the share of the devices about which something is read again.
        deleted: certificates that leave AWS IoT in this run.
    """
    lists = devices * registered / PAGE / _RATES["iot:ListCertificates"]
    scan = devices * table_bytes / PAGE_BYTES / _RATES["dynamodb:Scan"]
    return lists + scan + devices * differing / DESCRIBED_A_SECOND + deleted / DELETED_A_SECOND


@dataclass(frozen=True, kw_only=True)
class AtAMillion:
    """Calls, the seconds of the slowest of what runs side by side, read request units, and their price."""

    calls: int
    seconds: float
    read_units: float
    usd: float


def at_a_million(
    calls: Mapping[str, int], *, devices: int, table_bytes: int, index_bytes: int, grows: bool
) -> AtAMillion:
    """The calls of a run grow with the devices; but a Scan and a Query of all grow with what they read.

    Args:
        grows: whether the command is about the whole fleet.
    """
    factor = MILLION / devices if grows else 1.0
    once = ("cloudformation:", "sts:")
    grown = {name: count * factor for name, count in calls.items() if not name.startswith(once)}
    units, written = 0.0, 0.0
    for name in grown:
        match name:
            case "dynamodb:Scan":
                grown[name] = table_bytes * factor / PAGE_BYTES
                units += table_bytes * factor / BYTES_A_UNIT
            case "dynamodb:Query" if not grows:
                units += grown[name]
            case "dynamodb:Query":
                passes = max(1, round(calls[name] / max(1, index_bytes / PAGE_BYTES)))
                grown[name] = passes * index_bytes * factor / PAGE_BYTES
                units += passes * index_bytes * factor / BYTES_A_UNIT
            case "dynamodb:GetItem":
                units += grown[name]
            case "dynamodb:BatchGetItem":
                units += grown[name] * 100 / 2
            case "dynamodb:TransactWriteItems":
                written += grown[name] * 2 * 3  # of three items, each twice for the transaction
    seconds = max((count / _RATES[name] for name, count in grown.items() if name in _RATES), default=0.0)
    return AtAMillion(
        calls=round(sum(grown.values())),
        seconds=seconds,
        read_units=units,
        usd=units * USD_READ + written * USD_WRITE,
    )
