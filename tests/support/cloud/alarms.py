"""The deployed alarms, judged as CloudWatch judges them, and the runbook's queries, asked of the functions' logs.

The emulator keeps alarms and evaluates none. What is taken from AWS's documents: how datapoints and missing data make a
state (Amazon CloudWatch User Guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data"),
what a line in the embedded metric format counts, and how a filter of Logs Insights reads a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class Alarm:
    """One alarm as it is deployed; ``heading`` is that of its paragraph in the runbook."""

    properties: dict[str, Any]

    @property
    def heading(self) -> str:
        anchor = str(self.properties["AlarmDescription"]).rpartition("#")[2]
        return {each.lower(): each for each in headings()}[anchor]

    @property
    def metric(self) -> str:
        return f"{self.properties['Namespace']}/{self.properties['MetricName']}"

    def state(self, values: Sequence[float | None], *, before: str = OK) -> str:
        """The state after these periods, the latest last; None for one without data.

        Args:
            before: the state that it was in.
        """
        periods = self.properties["EvaluationPeriods"]
        latest = list(values)[-periods:]
        latest = [None] * (periods - len(latest)) + latest
        missing = self.properties.get("TreatMissingData", "missing")
        if all(value is None for value in latest) and missing in ("missing", "ignore"):
            return INSUFFICIENT_DATA if missing == "missing" else before
        known = [value for value in latest if value is not None]
        breaching = sum(value >= self.properties["Threshold"] for value in known)
        if missing == "breaching":
            breaching += latest.count(None)
        return ALARM if breaching >= self.properties.get("DatapointsToAlarm", periods) else OK

    def counted(self, lines: Sequence[str]) -> float | None:
        """What one period's lines of the logs make of its metric, by its statistic; None when they do not count it."""
        found = []
        for document in map(as_object, lines):
            for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
                named = {each["Name"] for each in directive["Metrics"]}
                dimensions = {name: document[name] for name in directive["Dimensions"][0]}
                wanted = {each["Name"]: each["Value"] for each in self.properties.get("Dimensions", [])}
                if (
                    directive["Namespace"] == self.properties["Namespace"]
                    and self.properties["MetricName"] in named
                    and dimensions == wanted
                ):
                    found.append(float(document[self.properties["MetricName"]]))
        if not found:
            return None
        return {"Sum": sum, "Maximum": max, "Minimum": min}[str(self.properties["Statistic"])](found)


def deployed(cloudformation: Any, cloudwatch: Any) -> dict[str, Alarm]:
    """Every alarm of both stacks, by the heading of its paragraph."""
    names = [
        each["PhysicalResourceId"]
        for stack in ("zymkey-Trust", "zymkey-Enrollment")
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    ]
    described = [
        each for page in cloudwatch.get_paginator("describe_alarms").paginate() for each in page["MetricAlarms"]
    ]
    alarms = [Alarm(each) for each in described if each["AlarmName"] in names]
    assert len(alarms) == len(names)
    return {each.heading: each for each in alarms}


def headings() -> list[str]:
    return re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)


def paragraph(heading: str) -> str:
    return RUNBOOK.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]


@dataclass(frozen=True)
class Query:
    """A query of Logs Insights, as far as the runbook uses them."""

    text: str

    @property
    def fields(self) -> list[str]:
        """What it shows, but for what CloudWatch adds (``@timestamp``)."""
        listed = re.findall(r"^\|? ?(?:fields|stats count\(\*\)(?: as times)? by) (.*)$", self.text, re.MULTILINE)
        names = [name.strip() for line in listed for name in line.split(",")]
        return [name for name in names if not name.startswith(("@", "bin("))]

    def takes(self, line: str) -> bool:
        """Whether its filter lets a line of the log through; without one it lets all through."""
        found = re.search(r"^\| filter (.*)$", self.text, re.MULTILINE)
        return found is None or any(
            all(self._holds(each, line) for each in either.split(" and ")) for either in found[1].split(" or ")
        )

    @staticmethod
    def _holds(condition: str, line: str) -> bool:
        name, operator, value = condition.split(" ", 2)
        actual: Any = line if name == "@message" else as_object(line).get(name)
        if operator == "like":
            return re.search(value.strip("/"), str(actual)) is not None
        expected = json.loads(value)
        if operator == "in":
            return actual in expected
        if operator == "=":
            return bool(actual == expected)
        assert operator in (">=", "<"), condition
        return isinstance(actual, int) and (actual >= expected if operator == ">=" else actual < expected)


def queries(heading: str) -> Iterator[Query]:
    """The paragraph's queries of the functions' logs: those of the API's log and of Lambda's own lines are AWS's."""
    for text in re.findall(r"```text\n(.*?)```", paragraph(heading), re.DOTALL):
        if "userAgent" not in text and "@type" not in text:
            yield Query(text)


def as_object(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
