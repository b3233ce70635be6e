"""The settings of the alarms: who is told, where the runbook is, and what is out of the ordinary."""

import re
from dataclasses import dataclass
from typing import Any

from infra.setting_readers import SettingsError, a_text, a_whole_number, an_object, wrong

# A standard topic: CloudWatch's alarms cannot use a FIFO topic.
_TOPIC_ARN = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}"


@dataclass(frozen=True, kw_only=True)
class AlarmThresholds:
    """What is out of the ordinary, as a count in five minutes, three times in a row.

    Fixed numbers, not anomaly detection: a fleet of ten devices sends nothing for months and then ten requests, and a
    batch from the factory is the largest anomaly of all, and harmless. By default 5 refused requests a second, and 25
    requests at all: more than devices send that come at their turns, of which AWS IoT has 10 a second. A batch of 500
    devices is over in one or two such periods.
    """

    client_errors: int = 1500
    requests: int = 7500


def an_alarm_topic(where: str, value: Any) -> str | None:
    """The ARN of a standard SNS topic, or None."""
    if value is None:
        return None
    arn: str = a_text(_TOPIC_ARN, "the ARN of a standard SNS topic, as arn:aws:sns:REGION:ACCOUNT:NAME, or null")(
        where, value
    )
    return arn


def an_alarm_email(where: str, value: Any) -> str | None:
    """An address for mail, or None. Whether it exists, only the confirmation of the subscription can tell."""
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[^@,;\x00-\x1f\x7f]+@[^@,;\x00-\x1f\x7f]+", value):
        raise wrong(where, value, "an e-mail address or null")
    if " " in value:
        raise wrong(where, value, "one e-mail address without spaces, or null")
    return value


a_runbook_url = a_text(
    r"[A-Za-z0-9_.~:/?&=%@+-]{1,400}", "the address of docs/runbook.md, without # and without spaces"
)


def alarm_thresholds(where: str, value: Any) -> AlarmThresholds:
    """The thresholds, each with its default when it is not named."""
    count = a_whole_number(1, 100_000_000)
    return AlarmThresholds(
        **an_object(where, value, {"clientErrors": ("client_errors", count), "requests": ("requests", count)})
    )


def refuse_two_receivers(where: str, *, topic_arn: str | None, email: str | None) -> None:
    """One topic gets the alarms: the one that exists, or the one that is made for the address.

    Raises:
        SettingsError: both are set.
    """
    if topic_arn is not None and email is not None:
        raise SettingsError(
            f"{where}.alarmTopicArn and {where}.alarmEmail are both set, but only one of them may be: "
            "subscribe the address to the topic, and set alarmEmail to null."
        )


def refuse_topic_of_another_region(where: str, *, topic_arn: str | None, region: str | None) -> None:
    """CloudWatch's alarms reach topics of their own Region only, and CloudFormation would say so in the middle.

    Args:
        region: where the stacks are deployed, when that is known.

    Raises:
        SettingsError: the topic is in another Region.
    """
    if topic_arn is None or region is None:
        return
    of_topic = topic_arn.split(":")[3]
    if of_topic != region:
        raise SettingsError(
            f"{where}.alarmTopicArn is a topic in {of_topic}, but this deployment is in {region}, and an alarm can "
            "only use a topic of its own Region: make a topic there, and set its ARN."
        )
