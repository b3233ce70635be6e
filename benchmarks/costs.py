"""What a fleet costs a month: ``python -m benchmarks.costs`` prints the table of docs/scale.md.

By arithmetic, in USD of us-east-1, and without the free tiers. The fleet is in its steady state: every device enrolled,
renewing at the moment that ``device.renew`` gives it. What each call of an enrollment costs is in docs/scale.md, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp

from benchmarks.scale.arithmetic import BYTES_A_UNIT, MILLION, PAGE_BYTES, USD_READ, USD_WRITE
from device import question
from device.renew import SPREAD
from fleet.prices import BACKED_UP_GB, KEY, STORED_GB

FLEETS = (1, 1_000, 1_000_000)
ISSUERS = ("kms", "aws", "external")

HOURS = 730
LIFE_MONTHS = 12
# Between two thirds of the life and a quarter of the rest later (``device.renew.renewal_time``); on average, here.
RENEWED_AT = 2 / 3 + 1 / 3 / SPREAD / 2

GB_SECOND = 0.0000133334
LAMBDA_GB = 0.5
METRIC, ALARM = 0.30, 0.10

ALARMS = {"kms": 20, "aws": 19, "external": 22}
# A request that is told to wait for the signature: two reads, the HTTP API, the function, its log.
WAITING = (0.25 + 1.00 + 0.40 + 0.60) / MILLION
# A device asks whether a renewal is wanted: three reads, and the rest of a request that changes nothing.
QUESTION = (3 * 0.125 + 1.00 + 0.40 + 0.60) / MILLION
# The operator signs within an hour, for which the device asks every minute.
WAITED = 60
# One enrollment by a token, one renewal: the table in docs/scale.md. With ``external`` as with ``kms``, without the
# signature in KMS and its count, and with another request: the operator's, which brings the certificate.
ENROLLMENT = {"kms": 39.50 / MILLION, "aws": 24.40 / MILLION, "external": 30 / MILLION + WAITED * WAITING}
RENEWAL = {"kms": 38.90 / MILLION, "aws": 23.80 / MILLION, "external": 30 / MILLION + WAITED * WAITING}

# As ``benchmarks.scale.seeding`` writes them: a device with its key, its certificates and what has happened to it.
TABLE_BYTES, INDEX_BYTES = 2_928, 322
# The sweep reads the index every hour, 0.1 s a page, and switches one certificate off for each renewal of that hour: 4
# write units in the table and its index, 2 reads, 8 a second.
PAGE_SECONDS = 0.1
SWITCHED_OFF = 4 * USD_WRITE + 2 * USD_READ
SWITCHED_OFF_SECONDS = 1 / 8
SWEEP_SECONDS = 0.5
# The first sweep of a day reports what expires, and the daily audit what it has found: 3 metrics, charged for an hour
# each.
DAYS = 365 / 12
REPORTS = 3 * DAYS
# The audit reads the table once, while AWS IoT lists 250 certificates a tenth of a second: a device's, and the one
# before it. What a renewal leaves is deleted: a transaction of 3 items, a quarter of a second.
LISTED_SECONDS = 2 / 250 / 10
DELETED = 6 * USD_WRITE + 3 * USD_READ
DELETED_SECONDS = 1 / 4
AUDIT_SECONDS = 2.0
# What a renewal counts in: Renewed, and Pending while it waits for a signature.
COUNTED = {"kms": 1, "aws": 0, "external": 2}


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part of the bill is, and what it comes to a month; ``once`` is paid at the enrollment instead."""

    what: str
    usd: float
    once: bool = False


def parts(issuer: str, devices: int) -> Iterator[Part]:
    """The bill of a fleet, but for what AWS IoT charges for its devices' own connections and messages."""
    renewals = devices / (LIFE_MONTHS * RENEWED_AT) if issuer != "aws" else 0.0
    yield Part(what="the CA's key in KMS", usd=KEY if issuer == "kms" else 0.0)
    yield Part(what="alarms", usd=ALARMS[issuer] * ALARM)
    # A metric is charged for the hours in which it has a value: in most hours of a small fleet nobody renews.
    with_renewal = HOURS * (1 - exp(-renewals / HOURS)) * COUNTED[issuer]
    yield Part(what="metrics of the functions", usd=(REPORTS + with_renewal) / HOURS * METRIC)
    index = devices * INDEX_BYTES
    seconds = HOURS * (SWEEP_SECONDS + index / PAGE_BYTES * PAGE_SECONDS) + renewals * SWITCHED_OFF_SECONDS
    yield Part(
        what="the hourly sweep",
        usd=HOURS * max(1, index / BYTES_A_UNIT) * USD_READ + seconds * LAMBDA_GB * GB_SECOND + renewals * SWITCHED_OFF,
    )
    table = devices * TABLE_BYTES
    audited = DAYS * (AUDIT_SECONDS + devices * LISTED_SECONDS) + renewals * DELETED_SECONDS
    yield Part(
        what="the daily audit",
        usd=DAYS * max(1, table / BYTES_A_UNIT) * USD_READ + audited * LAMBDA_GB * GB_SECOND + renewals * DELETED,
    )
    yield Part(what="the ledger, stored", usd=((table + index) * STORED_GB + table * BACKED_UP_GB) / 1e9)
    yield Part(what="renewals", usd=renewals * RENEWAL[issuer])
    yield Part(what="the devices' daily question", usd=devices * DAYS * 86_400 / question.EVERY * QUESTION)
    yield Part(what="each device's enrollment, once", usd=devices * ENROLLMENT[issuer], once=True)


def monthly(issuer: str, devices: int) -> float:
    """What a fleet costs a month, in USD."""
    return sum(part.usd for part in parts(issuer, devices) if not part.once)


def table() -> str:
    """The table in Markdown: a column for each issuer and size."""
    sizes = [(issuer, devices) for issuer in ISSUERS for devices in FLEETS]
    lines = [
        "| | " + " | ".join(f"`{issuer}`, {devices:,}" for issuer, devices in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    bills = [list(parts(issuer, devices)) for issuer, devices in sizes]
    rows = [(row[0], [part.usd for part in row]) for row in zip(*bills, strict=True)]
    lines += [_row(part.what, costs) for part, costs in rows if not part.once]
    lines.append(_row("**a month**", [monthly(*size) for size in sizes]))
    lines += [_row(part.what, costs) for part, costs in rows if part.once]
    return "\n".join(lines)


def _row(what: str, costs: list[float]) -> str:
    return f"| {what} | " + " | ".join(_usd(cost) for cost in costs) + " |"


def _usd(cost: float) -> str:
    if cost == 0:
        return ""
    return f"{cost:,.2f}" if cost >= 0.005 else "< 0.01"


if __name__ == "__main__":
    print(table())
