"""Alarms and a dashboard: whether devices can enroll, and how long it takes."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

_PERIOD = Duration.minutes(5)
# A device waits for its reply. Normal is about one second; this is half of the function's timeout.
_SLOW = Duration.seconds(10)


class Monitoring(Construct):
    """The alarms have no actions: the account decides who is notified."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        api: apigateway.HttpApi,
        functions: Mapping[str, lambda_.Function],
    ) -> None:
        super().__init__(scope, construct_id)

        # No labels: a label turns an alarm into metric math. The dashboard shows the metrics' own names.
        server_errors = api.metric_server_error(period=_PERIOD, statistic="sum")
        client_errors = api.metric_client_error(period=_PERIOD, statistic="sum")
        requests = api.metric_count(period=_PERIOD, statistic="sum")
        latency = api.metric_latency(period=_PERIOD, statistic="p95")
        errors = {name: function.metric_errors(period=_PERIOD) for name, function in functions.items()}
        throttles = {name: function.metric_throttles(period=_PERIOD) for name, function in functions.items()}

        alarms = [
            _alarm(self, "ServerErrors", server_errors, 1, "Devices got a 5xx reply: see the function's log."),
            _alarm(self, "Slow", latency, _SLOW.to_milliseconds(), "One enrollment in twenty takes too long."),
        ]
        for name in functions:
            alarms += [
                _alarm(self, f"{name}Errors", errors[name], 1, f"{name} failed unexpectedly: see its log."),
                _alarm(self, f"{name}Throttles", throttles[name], 1, f"{name} hit the account's concurrency limit."),
            ]

        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.days(1))
        dashboard.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=alarms, width=24))
        dashboard.add_widgets(
            cloudwatch.GraphWidget(title="Requests", left=[requests, client_errors, server_errors], width=8),
            cloudwatch.GraphWidget(
                title="Latency",
                left=[api.metric_latency(period=_PERIOD, statistic="p50"), latency],
                width=8,
            ),
            cloudwatch.GraphWidget(title="Functions", left=[*errors.values(), *throttles.values()], width=8),
        )


def _alarm(
    scope: Construct, construct_id: str, metric: cloudwatch.Metric, threshold: float, description: str
) -> cloudwatch.Alarm:
    return metric.create_alarm(
        scope,
        construct_id,
        alarm_description=description,
        threshold=threshold,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
