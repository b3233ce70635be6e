"""Alarms and a dashboard: whether devices can enroll, how long it takes, and whose certificates run out."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarm_settings import AlarmThresholds
from infra.alarms import PERIOD, Alarms
from infra.own_metrics import own_metric, refused, refused_by_reason

# A device waits for its reply. Normal is about one second; this is half of the function's timeout.
_SLOW = Duration.seconds(10)
_DAY = Duration.days(1)
# Each device that is due asks every six hours.
_UNKNOWN_RENEWALS = 10
# More devices than there will ever be.
_UNREACHABLE = 1_000_000_000
_MISSING = cloudwatch.TreatMissingData
# How many five-minute periods with a failure, of how many, raise the alarm of a function; for others it is each one.
_FAILURES = {
    # Of two events about one certificate, one has to wait: it fails, and Lambda tries it again.
    "FirstConnection": (3, 12),
    # The same of two connections with one certificate; and what fails for good is the sweep's.
    "Seen": (3, 12),
    # It runs every hour. What fails each time is told once, and not as over between two runs.
    "Superseded": (1, 13),
}


class Monitoring(Construct):
    """Each alarm is a paragraph of docs/runbook.md, under its construct's id.

    What makes a CA (the functions in Trust) has none: it runs during a deployment alone, which fails with its sentence.
    The schedule of the sweep has none of its own either: ``SweepNotRun`` sees that, and whatever else stops the sweep.
    Nor has the rule of first connections: a device whose event is lost uploads its certificate.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        fleet: str,
        alarms: Alarms,
        thresholds: AlarmThresholds,
        api: apigateway.HttpApi,
        functions: Mapping[str, lambda_.Function],
    ) -> None:
        super().__init__(scope, construct_id)

        # No labels: a label turns an alarm into metric math. The dashboard shows the metrics' own names.
        server_errors = api.metric_server_error(period=PERIOD, statistic="sum")
        client_errors = api.metric_client_error(period=PERIOD, statistic="sum")
        requests = api.metric_count(period=PERIOD, statistic="sum")
        latency = api.metric_latency(period=PERIOD, statistic="p95")
        enrolled, renewed, pending, queued, throttled, failed = (
            own_metric(name, fleet=fleet, period=PERIOD)
            for name in ("Enrolled", "Renewed", "Pending", "Queued", "Throttled", "Failed")
        )
        expiring, expired, findings = (
            own_metric(name, fleet=fleet, period=_DAY, statistic="Maximum")
            for name in ("ExpiringWithin30Days", "Expired", "AuditFindings")
        )

        raised = [
            # Not at the first one: a batch of devices makes AWS throttle for a minute or two, which is 503 as well, and
            # each device tries again. ``Failed`` is raised by one real failure, below.
            alarms.add(
                self,
                "ServerErrors",
                server_errors,
                threshold=1,
                periods=3,
                of_periods=12,
                description="Devices got 5xx replies in three of the last twelve five-minute periods.",
            ),
            alarms.add(
                self,
                "Slow",
                latency,
                threshold=_SLOW.to_milliseconds(),
                description="One enrollment in twenty takes 10 seconds or longer.",
            ),
            alarms.add(
                self,
                "Failed",
                failed,
                threshold=1,
                description="An AWS call of an enrollment failed, or the enroll function has a defect.",
            ),
            alarms.add(
                self,
                "Throttled",
                throttled,
                threshold=1,
                periods=12,
                description="AWS has throttled enrollments for an hour.",
            ),
            alarms.add(
                self,
                "ClientErrors",
                client_errors,
                threshold=thresholds.client_errors,
                periods=3,
                description="Unusually many requests were refused for fifteen minutes.",
            ),
            alarms.add(
                self,
                "Requests",
                requests,
                threshold=thresholds.requests,
                periods=3,
                description="Unusually many requests came for fifteen minutes.",
            ),
            # Not at the first one: a device that was removed asks as well, four times a day, and so can anybody.
            alarms.add(
                self,
                "RenewalsRefused",
                refused("UnknownRenewal", fleet=fleet, period=_DAY),
                threshold=_UNKNOWN_RENEWALS,
                description="Ten renewals in a day came from keys that the ledger does not know.",
            ),
            # Reported once a day, in one data point: between two of them the alarm stays as it is.
            alarms.add(
                self,
                "CertificatesExpiring",
                expiring,
                threshold=1,
                missing=_MISSING.IGNORE,
                description="A device has not renewed its certificate, which expires within 30 days.",
            ),
            # The sweep reports also when it finds nothing, so its silence is what is told: no data for two days, and
            # for the few periods more that CloudWatch looks at before it says so. (The longest that an alarm looks back
            # is a week.) The threshold is out of reach: it never is ALARM.
            alarms.add(
                self,
                "SweepNotRun",
                own_metric("ExpiringWithin30Days", fleet=fleet, period=_DAY, statistic="Minimum"),
                threshold=_UNREACHABLE,
                periods=2,
                missing=_MISSING.MISSING,
                description="INSUFFICIENT_DATA means: the daily sweep has not reported for two days or longer.",
            ),
            # As CertificatesExpiring: one data point a day, and between two of them the alarm stays as it is.
            alarms.add(
                self,
                "AuditFindings",
                findings,
                threshold=1,
                missing=_MISSING.IGNORE,
                description="The ledger and AWS IoT do not agree: `zymkey-fleet audit --last` says about what.",
            ),
            # As SweepNotRun.
            alarms.add(
                self,
                "AuditNotRun",
                own_metric("AuditFindings", fleet=fleet, period=_DAY, statistic="Minimum"),
                threshold=_UNREACHABLE,
                periods=2,
                missing=_MISSING.MISSING,
                description="INSUFFICIENT_DATA means: the daily audit has not reported for two days or longer.",
            ),
        ]
        errors = {name: function.metric_errors(period=PERIOD) for name, function in functions.items()}
        throttles = {name: function.metric_throttles(period=PERIOD) for name, function in functions.items()}
        for name in functions:
            periods, of_periods = _FAILURES.get(name, (1, None))
            raised += [
                alarms.add(
                    self,
                    f"{name}Errors",
                    errors[name],
                    threshold=1,
                    description=f"The function {name} crashed, ran out of time or memory, or gave up.",
                    periods=periods,
                    of_periods=of_periods,
                ),
                alarms.add(
                    self,
                    f"{name}Throttles",
                    throttles[name],
                    threshold=1,
                    description=f"The function {name} was not started: the account's concurrency was used up.",
                ),
            ]
        if "FirstConnection" in functions:
            # The sweep's need none: its errors are told at the first, and ``SweepNotRun`` sees the rest.
            dropped = functions["FirstConnection"].metric("AsyncEventsDropped", period=PERIOD, statistic="sum")
            raised.append(
                alarms.add(
                    self,
                    "FirstConnectionDropped",
                    dropped,
                    threshold=1,
                    description="Lambda has given up events of first connections after its retries.",
                )
            )

        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=_DAY)
        dashboard.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=raised, width=24))
        dashboard.add_widgets(
            cloudwatch.GraphWidget(title="Requests", left=[requests, client_errors, server_errors], width=8),
            cloudwatch.GraphWidget(
                title="Latency",
                left=[api.metric_latency(period=PERIOD, statistic="p50"), latency],
                width=8,
            ),
            cloudwatch.GraphWidget(title="Functions", left=[*errors.values(), *throttles.values()], width=8),
        )
        dashboard.add_widgets(
            cloudwatch.GraphWidget(
                title="Enrollments", left=[enrolled, renewed, pending, queued, throttled, failed], width=8
            ),
            cloudwatch.GraphWidget(title="Refused", left=[refused_by_reason(fleet=fleet, period=PERIOD)], width=8),
            cloudwatch.GraphWidget(title="Certificates", left=[expiring, expired, findings], width=8),
        )
