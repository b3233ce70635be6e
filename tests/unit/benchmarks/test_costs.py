"""What a fleet costs: the assumptions are those of the code, and docs/scale.md has the table."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks.costs import (
    ALARMS,
    ENROLLMENT,
    FLEETS,
    INDEX_BYTES,
    LAMBDA_GB,
    LIFE_MONTHS,
    METRIC,
    MILLION,
    RENEWAL,
    TABLE_BYTES,
    WAITED,
    monthly,
    table,
)
from benchmarks.scale import seeding
from functions.issuers.external import RETRY_SECONDS
from functions.metrics import Metric
from infra.settings import Settings

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs/scale.md").read_text()


def test_the_document_has_the_table():
    assert table() in DOCUMENT


@pytest.mark.parametrize("issuer", ENROLLMENT)
def test_the_readme_has_its_sums(issuer):
    sums = [f"{monthly(issuer, devices):.2f}" for devices in FLEETS]
    enrolled = f"{ENROLLMENT[issuer] * MILLION:.2f}"
    assert " | ".join(["| `" + issuer + "`", *sums, enrolled]) + " |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("issuer", ["kms", "aws"])
def test_an_enrollment_costs_what_the_document_adds_up(issuer):
    for asks, cost in (("token", ENROLLMENT), ("renewal", RENEWAL)):
        *_, row = re.findall(rf"^\| `{issuer}`, {asks} \|(.*)\|$", DOCUMENT, re.MULTILINE)
        _, _, *single, _, after = (cell.strip(" *") for cell in row.split("|"))
        together = sum(map(float, filter(None, single)))
        assert float(after) == pytest.approx(cost[issuer] * MILLION)
        assert together == pytest.approx(float(after), abs=0.1)


def test_the_assumptions_are_those_of_the_code():
    assert round(Settings().certificate_validity_days * 12 / 365) == LIFE_MONTHS
    assert WAITED * RETRY_SECONDS == 3600
    kms = json.loads((ROOT / "tests/template/snapshots/kms-enrollment.json").read_text())["Resources"].values()
    sizes = {each["Properties"]["MemorySize"] for each in kms if "MemorySize" in each.get("Properties", {})}
    assert sizes == {LAMBDA_GB * 1024}


@pytest.mark.parametrize("issuer", ALARMS)
def test_alarms_are_those_of_the_templates(issuer):
    templates = [
        json.loads((ROOT / f"tests/template/snapshots/{issuer}-{stack}.json").read_text())
        for stack in ("trust", "enrollment")
    ]
    kinds = [resource["Type"] for template in templates for resource in template["Resources"].values()]
    assert kinds.count("AWS::CloudWatch::Alarm") == ALARMS[issuer]


def test_the_document_counts_the_metrics():
    numbers = {"eight": 8, "nine": 9, "ten": 10}
    (word, cost) = re.findall(r"all (\w+), ([0-9.]+), and 0.30 for each reason of a refusal", DOCUMENT)[0]
    assert len(set(Metric) - {Metric.REFUSED}) == numbers[word] == round(float(cost) / METRIC)


def test_a_device_takes_in_the_ledger_what_is_charged():
    items = defaultdict(dict)
    for number in range(100):
        list(seeding.put_device(number, 1_800_000_000, items))
    table, index = seeding.sizes(items)
    assert table / 100 == pytest.approx(TABLE_BYTES, rel=0.01)
    assert index / 100 == pytest.approx(INDEX_BYTES, rel=0.01)
