"""AWS IoT Device Defender's audit: when it runs, what it looks at, and what its role may do."""

from pathlib import Path
from typing import Any

import pytest

from infra.device_defender import CHECKS
from tests.template.service_authorization import fits, resource_types
from tests.template.shown import shown
from tests.template.synthesis import Template, synthesize


def enrollment(**defender: Any) -> Template:
    return synthesize(deviceDefender=defender).enrollment


def test_without_the_setting_there_is_none() -> None:
    assert not [each for each in enrollment_types(synthesize().enrollment) if "Audit" in each and "IoT" in each]


def enrollment_types(template: Template) -> set[str]:
    return {each["Type"] for each in template.resources().values()}


@pytest.mark.parametrize(
    ("settings", "when"),
    [
        ({"frequency": "DAILY"}, {"Frequency": "DAILY"}),
        ({"frequency": "BIWEEKLY", "dayOfWeek": "TUE"}, {"Frequency": "BIWEEKLY", "DayOfWeek": "TUE"}),
        ({"frequency": "MONTHLY", "dayOfMonth": "LAST"}, {"Frequency": "MONTHLY", "DayOfMonth": "LAST"}),
    ],
)
def test_it_runs_when_the_setting_says(settings: dict[str, str], when: dict[str, str]) -> None:
    schedule = enrollment(**settings).only("AWS::IoT::ScheduledAudit")
    assert {name: value for name, value in schedule.items() if name != "TargetCheckNames"} == when


def test_the_account_s_configuration_enables_what_the_schedule_asks_for_before_it() -> None:
    template = enrollment(frequency="DAILY")
    enabled = template.only("AWS::IoT::AccountAuditConfiguration")["AuditCheckConfigurations"]
    assert len(enabled) == len(CHECKS)
    assert all(each == {"Enabled": True} for each in enabled.values())
    ((name, _),) = template.resources("AWS::IoT::AccountAuditConfiguration").items()
    ((_, schedule),) = template.resources("AWS::IoT::ScheduledAudit").items()
    assert name in schedule["DependsOn"]
    assert {each.replace("_", "") for each in schedule["Properties"]["TargetCheckNames"]} == {
        each.upper() for each in enabled
    }


def test_every_check_has_its_row_in_the_operator_s_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs/operator.md").read_text()
    assert [each for each in CHECKS.values() if f"`{each}`" not in guide] == []


def test_where_another_stack_has_the_configuration_there_is_neither_it_nor_a_role() -> None:
    template = enrollment(frequency="DAILY", accountConfiguration=False)
    assert "AWS::IoT::AccountAuditConfiguration" not in enrollment_types(template)
    assert not [name for name in template.resources("AWS::IAM::Role") if name.startswith("DeviceDefender")]


def test_device_defender_alone_takes_the_role_which_reads_and_no_more() -> None:
    template = enrollment(frequency="DAILY")
    ((name, role),) = (
        each for each in template.resources("AWS::IAM::Role").items() if each[0].startswith("DeviceDefender")
    )
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "iot.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    reads = ("Describe", "Get", "List", "GenerateServiceLastAccessedDetails")
    for statement in template.statements_of_role(name):
        actions, resources = (
            value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"])
        )
        for action in actions:
            assert action.split(":")[1].startswith(reads)
            for resource in map(shown, resources):
                if resource == "*":
                    assert resource_types(action) == set(), f"{action} can be limited to resources"
                else:
                    assert fits(action, resource), action
