"""The metrics that the functions write into their logs (``functions/metrics.py``), as alarms and dashboard read."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "ZymkeyFleet"


def own_metric(name: str, *, fleet: str, period: Duration, statistic: str = "Sum") -> cloudwatch.Metric:
    """One metric of one fleet."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"Fleet": fleet},
        period=period,
        statistic=statistic,
    )


def refused(reason: str, *, fleet: str, period: Duration) -> cloudwatch.Metric:
    """``Refused`` for one reason."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name="Refused",
        dimensions_map={"Fleet": fleet, "Reason": reason},
        period=period,
        statistic="Sum",
    )


def refused_by_reason(*, fleet: str, period: Duration) -> cloudwatch.MathExpression:
    """``Refused``, one line for each reason that there has been. For the dashboard: an alarm cannot search."""
    search = f'{{{NAMESPACE},Fleet,Reason}} MetricName="Refused" Fleet="{fleet}"'
    return cloudwatch.MathExpression(expression=f"SEARCH('{search}', 'Sum')", label="", period=period)
