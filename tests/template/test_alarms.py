"""Alarms that reach someone: whom they tell, when, and where the runbook says what to do."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from aws_cdk import App
from botocore import xform_name

from fleet.cli import COMMANDS
from functions.metrics import NAMESPACE, Metric
from functions.refusals import UnknownRenewal
from functions.turns import QUOTAS
from infra.bundle import Bundle
from infra.deployment import add_stacks
from infra.enrollment_api import BURST, REQUESTS_PER_SECOND
from infra.setting_readers import SettingsError
from infra.settings import Settings
from pki.issuers import ISSUERS
from tests.template.synthesis import Resource, Template, Templates, context, synthesize

RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"

# Every choice that adds alarms or takes some away.
CHOICES = [
    *({"issuer": issuer} for issuer in ISSUERS),
    {"issuer": "external", "firstConnection": "off"},
]


def alarms_of(templates: Templates) -> dict[str, Resource]:
    """The properties of all alarms of both stacks, by logical id."""
    both = (templates.trust, templates.enrollment)
    return {
        name: alarm["Properties"]
        for template in both
        for name, alarm in template.resources("AWS::CloudWatch::Alarm").items()
    }


def alarm(name: str, **settings: object) -> Resource:
    """One alarm, by the heading of its paragraph."""
    ((_, found),) = ((key, each) for key, each in alarms_of(synthesize(**settings)).items() if link(each) == name)
    return found


def link(alarm: Resource) -> str:
    """The heading that an alarm's description ends with a link to."""
    _, anchor = alarm["AlarmDescription"].rsplit("#", 1)
    return {heading.lower(): heading for heading in headings()}[anchor]


def headings() -> list[str]:
    return [name for name in re.findall(r"^## (.*)$", RUNBOOK.read_text(), re.MULTILINE) if name != "How to look"]


def test_every_alarm_links_to_its_paragraph_and_every_paragraph_has_an_alarm() -> None:
    linked = set()
    for settings in CHOICES:
        for name, each in alarms_of(synthesize(**settings)).items():
            assert re.fullmatch(r".+[.] docs/runbook[.]md#[a-z]+", each["AlarmDescription"]), name
            assert link(each) in name, "the mail names the alarm as the runbook does"
            linked.add(link(each))
    assert linked == set(headings())
    assert len(headings()) == len(linked), "each heading is there once"


@pytest.mark.parametrize("heading", headings())
def test_a_paragraph_says_where_to_look_and_when_it_is_harmless(heading: str) -> None:
    paragraph = RUNBOOK.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    assert "\nHarmless when: " in paragraph
    assert "```" in paragraph or re.search(r"\bSee [A-Z]\w+", paragraph), "a query, a command, or where there is one"


def test_the_link_begins_with_the_address_of_the_settings() -> None:
    url = "https://git.example.com/fleet/blob/main/docs/runbook.md"
    for each in alarms_of(synthesize(runbookUrl=url)).values():
        assert f". {url}#" in each["AlarmDescription"]
        assert len(each["AlarmDescription"]) <= 1024, "CloudWatch takes no longer one"


@pytest.mark.parametrize("issuer", ISSUERS)
def test_without_a_receiver_no_alarm_tells_anybody_and_there_is_no_topic(issuer: str) -> None:
    templates = synthesize(issuer=issuer)
    for each in alarms_of(templates).values():
        assert not {"AlarmActions", "OKActions", "InsufficientDataActions"} & set(each)
    assert "AWS::SNS" not in json.dumps([templates.trust.body, templates.enrollment.body])


@pytest.mark.parametrize("settings", CHOICES, ids=str)
def test_every_alarm_tells_the_topic_of_the_settings_when_it_begins_and_when_it_is_over(settings: Any) -> None:
    templates = synthesize(alarmTopicArn=TOPIC, **settings)
    alarms = alarms_of(templates)
    assert alarms
    for each in alarms.values():
        assert (each["AlarmActions"], each["OKActions"]) == ([TOPIC], [TOPIC])
    assert "AWS::SNS" not in json.dumps([templates.trust.body, templates.enrollment.body])


def test_for_an_address_there_is_a_topic_that_cloudwatch_may_publish_to_and_all_alarms_tell_it() -> None:
    templates = synthesize(alarmEmail="ops@example.com")
    ((topic, _),) = templates.trust.resources("AWS::SNS::Topic").items()
    assert templates.trust.only("AWS::SNS::Subscription") == {
        "Endpoint": "ops@example.com",
        "Protocol": "email",
        "TopicArn": {"Ref": topic},
    }
    for each in alarms_of(templates).values():
        (action,) = each["AlarmActions"]
        assert each["OKActions"] == [action]
        reference = action.get("Fn::GetStackOutput", action)
        assert reference.get("StackName", "zymkey-Trust") == "zymkey-Trust"
        assert topic in json.dumps(reference)
    (allow,) = (each for each in topic_statements(templates.trust) if each["Effect"] == "Allow")
    assert (allow["Principal"], allow["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert allow["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert json.dumps(allow["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(':alarm:*"]]}')


def topic_statements(template: Template) -> list[Resource]:
    statements: list[Resource] = template.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    return statements


def test_the_topic_of_an_address_has_no_key_that_would_keep_cloudwatch_out() -> None:
    """With ``alias/aws/sns``, CloudWatch "does not have authorization to access the SNS topic encryption key"."""
    topic = synthesize(alarmEmail="ops@example.com").trust.only("AWS::SNS::Topic")
    assert "KmsMasterKeyId" not in topic
    assert not topic.get("FifoTopic")


def test_a_topic_of_another_region_is_refused_before_anything_is_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CDK_DEFAULT_REGION", "us-east-1")
    app = App(context=context(alarmTopicArn=TOPIC), builtin_cloud_formation_validation=False)
    settings = Settings.from_context(app.node.get_all_context())
    with pytest.raises(SettingsError, match="a topic in eu-central-1, but this deployment is in us-east-1"):
        add_stacks(app, settings=settings, bundle=Bundle(directory=tmp_path, digest="0" * 64))


@pytest.mark.parametrize("settings", CHOICES, ids=str)
def test_each_alarm_looks_back_no_longer_than_cloudwatch_lets_it(settings: Any) -> None:
    """PutMetricAlarm: a day, and with periods of an hour or longer a week."""
    for name, each in alarms_of(synthesize(**settings)).items():
        assert each["Period"] * each["EvaluationPeriods"] <= (604_800 if each["Period"] >= 3600 else 86_400), name
        assert each.get("DatapointsToAlarm", 1) <= each["EvaluationPeriods"], name


def test_the_silence_of_sweep_and_audit_is_told_and_a_new_deployment_is_not() -> None:
    """A new alarm begins in INSUFFICIENT_DATA, and only a change of the state is told."""
    silences = [alarm(name, alarmTopicArn=TOPIC) for name in ("SweepNotRun", "AuditNotRun")]
    for silence, metric in zip(silences, (Metric.EXPIRING, Metric.AUDIT_FINDINGS), strict=True):
        assert silence["InsufficientDataActions"] == [TOPIC]
        assert silence["TreatMissingData"] == "missing"
        assert (silence["MetricName"], silence["Period"], silence["EvaluationPeriods"]) == (metric, 86_400, 2)
    others = (each for each in alarms_of(synthesize(alarmTopicArn=TOPIC)).values() if each not in silences)
    assert not any("InsufficientDataActions" in each or each["TreatMissingData"] == "missing" for each in others)


def test_what_the_sweep_cannot_switch_off_hour_after_hour_is_told_once() -> None:
    """Or else each run would be two mails, one of the failure and one of its end: 48 a day."""
    failed = alarm("SupersededErrors")
    assert (failed["TreatMissingData"], failed["DatapointsToAlarm"]) == ("notBreaching", 1)
    rules = synthesize().enrollment.resources("AWS::Events::Rule").items()
    (schedule,) = (rule["Properties"] for name, rule in rules if name.startswith("Superseded"))
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert failed["Period"] * failed["EvaluationPeriods"] > 3600


def test_what_an_audit_finds_is_told_and_stays_told_until_the_next() -> None:
    found = alarm("AuditFindings")
    assert (found["MetricName"], found["Statistic"], found["Threshold"]) == (Metric.AUDIT_FINDINGS, "Maximum", 1)
    assert (found["Period"], found["TreatMissingData"]) == (86_400, "ignore")


def test_a_fleet_that_does_not_renew_is_told_and_stays_told_between_two_reports() -> None:
    expiring = alarm("CertificatesExpiring")
    assert (expiring["MetricName"], expiring["Statistic"], expiring["Threshold"]) == (Metric.EXPIRING, "Maximum", 1)
    assert (expiring["Period"], expiring["TreatMissingData"]) == (86_400, "ignore")


def test_out_of_the_ordinary_is_more_than_devices_send_that_come_at_their_turns_for_three_periods() -> None:
    for name, metric, a_second in (("ClientErrors", "4xx", 5), ("Requests", "Count", 25)):
        each = alarm(name)
        assert (each["MetricName"], each["Threshold"]) == (metric, a_second * 300)
        assert (each["Statistic"], each["Period"], each["EvaluationPeriods"]) == ("Sum", 300, 3)
    assert max(QUOTAS.values()) < 25


def test_a_batch_of_500_devices_raises_no_alarm() -> None:
    """All at once, each with the two requests of a bootstrap, and one more without credentials that is a 401.

    AWS IoT registers ten a second, so the batch is over in a minute, and lies in two five-minute periods at most.
    """
    seconds = 500 / 10 + 500 * 3 / REQUESTS_PER_SECOND
    periods = 2
    assert seconds < 300
    for name in ("ClientErrors", "Requests", "ServerErrors", "Throttled"):
        each = alarm(name)
        assert each.get("DatapointsToAlarm", each["EvaluationPeriods"]) > periods, name
    assert alarm("Requests")["Threshold"] > 500 * 3 + BURST


def test_the_thresholds_of_the_settings_are_taken_each_for_itself() -> None:
    assert alarm("Requests", alarmThresholds={"requests": 40})["Threshold"] == 40
    assert alarm("ClientErrors", alarmThresholds={"requests": 40})["Threshold"] == 1500
    assert alarm("ClientErrors", alarmThresholds={"clientErrors": 7})["Threshold"] == 7


@pytest.mark.parametrize("issuer", ISSUERS)
def test_lambdas_own_failures_are_told_for_each_function_and_given_up_events_where_nothing_else_would(
    issuer: str,
) -> None:
    template = synthesize(issuer=issuer).enrollment
    watched = {
        (each["MetricName"], each["Dimensions"][0]["Value"]["Ref"])
        for each in alarms_of(synthesize(issuer=issuer)).values()
        if each["Namespace"] == "AWS/Lambda"
    }
    functions = template.resources("AWS::Lambda::Function")
    expected = {(metric, function) for function in functions for metric in ("Errors", "Throttles")}
    expected |= {("AsyncEventsDropped", each) for each in functions if each.startswith("FirstConnection")}
    assert watched == expected


def test_alarms_and_dashboard_read_the_metrics_that_the_functions_write() -> None:
    for settings in (*CHOICES, {"fleet": "plant"}):
        own = [each for each in alarms_of(synthesize(**settings)).values() if each["Namespace"] == NAMESPACE]
        assert {each["MetricName"] for each in own} == {
            *("Failed", "Throttled", "ExpiringWithin30Days", "Refused", "AuditFindings")
        }
        fleet = {"Name": "Fleet", "Value": settings.get("fleet", "zymkey")}
        reason = {"Name": "Reason", "Value": UnknownRenewal.__name__}
        for each in own:
            assert each["Dimensions"] == ([fleet, reason] if each["MetricName"] == "Refused" else [fleet])
    dashboard = json.dumps(synthesize(fleet="plant").enrollment.only("AWS::CloudWatch::Dashboard")["DashboardBody"])
    shown = set(re.findall(rf'"{NAMESPACE}\\",\\"(\w+)\\",\\"Fleet\\",\\"plant\\"', dashboard.replace("\\\\", "\\")))
    searched = set(re.findall(rf"{{{NAMESPACE},Fleet,Reason}} MetricName=\W*(\w+)\W* Fleet=\W*plant", dashboard))
    assert shown | searched == {str(each) for each in Metric}


def test_what_makes_a_ca_has_no_alarm_because_its_failure_fails_the_deployment() -> None:
    trust = synthesize().trust
    assert trust.resources("AWS::Lambda::Function")
    assert not [each for each in alarms_of(synthesize()) if each in trust.resources() and "Maker" in each]


# The account's logging of AWS IoT


@pytest.mark.parametrize("issuer", ISSUERS)
def test_aws_iot_logs_when_it_is_asked_to_with_a_role_for_its_own_group_alone(issuer: str) -> None:
    template = synthesize(issuer=issuer, iotLogging="WARN").enrollment
    options = template.only("AWS::IoT::Logging")
    role = options["RoleArn"]["Fn::GetAtt"][0]
    assert options == {
        "AccountId": {"Ref": "AWS::AccountId"},
        "DefaultLogLevel": "WARN",
        "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
    }
    (trusted,) = template.resources()[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "iot.amazonaws.com"}
    (statement,) = template.statements_of_role(role)
    assert set(statement["Action"]) == {
        *("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        *("logs:PutMetricFilter", "logs:PutRetentionPolicy"),
    }
    group = ":logs:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":log-group:AWSIotLogsV2:*"
    assert statement["Resource"] == {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, *group]]}
    # AWS IoT tries the role when the options are set, so its policy has to be there.
    ((logging, _),) = template.resources("AWS::IoT::Logging").items()
    assert any("Policy" in each for each in template.resources()[logging]["DependsOn"])


@pytest.mark.parametrize("issuer", ISSUERS)
def test_the_accounts_logging_is_left_alone_by_default(issuer: str) -> None:
    assert not synthesize(issuer=issuer).enrollment.resources("AWS::IoT::Logging")


# The runbook's commands


def test_the_runbook_finds_each_log_group_and_the_schedule_by_their_logical_ids() -> None:
    named = set(re.findall(r"\$\(logs (\w+)\)", RUNBOOK.read_text()))
    groups = synthesize(issuer="external").enrollment.resources("AWS::Logs::LogGroup")
    assert {name: len([group for group in groups if group.startswith(name)]) for name in named} == dict.fromkeys(
        named, 1
    )
    assert len(named) == len(groups)
    rules = synthesize().enrollment.resources("AWS::Events::Rule")
    schedules = re.findall(r"\$stack-(\w+Schedule)", RUNBOOK.read_text())
    assert len(schedules) == len(rules)
    assert all(any(rule.startswith(schedule) for schedule in schedules) for rule in rules)


def test_the_runbooks_commands_exist() -> None:
    text = RUNBOOK.read_text()
    fleet = set(re.findall(r"zymkey-fleet ([a-z]+)", text))
    assert fleet
    assert fleet <= COMMANDS.keys()
    session = botocore.session.get_session()
    aws = set(re.findall(r"\baws ([a-z]+) ([a-z-]+)", text)) - {("logs", "tail")}  # the command line's own
    assert len(aws) > 4
    for service, operation in aws:
        known = {xform_name(each, "-") for each in session.get_service_model(service).operation_names}
        assert operation in known, (service, operation)


def test_the_runbook_lists_what_is_counted() -> None:
    table = RUNBOOK.read_text().split("| metric | what is counted |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == {str(each) for each in Metric}


def test_several_unknown_renewals_in_a_day_are_told_and_one_removed_device_is_not() -> None:
    """Whose timer asks every six hours (device/service/units)."""
    refused = alarm("RenewalsRefused")
    assert (refused["Period"], refused["EvaluationPeriods"], refused["Statistic"]) == (86_400, 1, "Sum")
    assert 2 * 24 / 6 < refused["Threshold"] < 4 * 24 / 6


def queries() -> Iterator[str]:
    yield from re.findall(r"```text\n(.*?)```", RUNBOOK.read_text(), re.DOTALL)


# What Logs Insights has by itself (CloudWatch Logs User Guide, supported logs and discovered fields).
DISCOVERED = {"@timestamp", "@message", "@duration", "@initDuration", "@maxMemoryUsed", "@type"}
WORDS = {
    *("fields", "filter", "sort", "desc", "limit", "stats", "count", "as", "by", "bin", "and", "or", "in", "like"),
    *("times", "m"),
}


def test_the_runbooks_queries_ask_for_what_the_logs_have(log_fields: set[str]) -> None:
    asked = set()
    for query in queries():
        bare = re.sub(r'"[^"]*"|/[^/]*/|\b\d+m?\b', " ", query)
        asked |= {re.sub(r"\.\d+$", "", name) for name in re.findall(r"@?[A-Za-z_]\w*(?:\.\d+)?", bare)} - WORDS
    assert len(list(queries())) > 8
    assert asked - DISCOVERED - log_fields == set()


@pytest.fixture(scope="module")
def log_fields() -> set[str]:
    """The names of everything that the API's access log and a function's log have."""
    stage = synthesize().enrollment.only("AWS::ApiGatewayV2::Stage")
    access = set(json.loads(stage["AccessLogSettings"]["Format"]))
    sources = [path.read_text() for path in (RUNBOOK.parents[1] / "functions").rglob("*.py")]
    written = set(itertools.chain(*(re.findall(r"[(, ](\w+)=", source) for source in sources)))
    every = {"level", "location", "message", "timestamp", "service", "function_request_id"}
    return access | written | every | {str(each) for each in Metric} | {"Reason", "Fleet"}
