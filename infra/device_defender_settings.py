"""The setting ``deviceDefender``: AWS IoT Device Defender's own audit, on a schedule."""

from dataclasses import dataclass
from typing import Any

from infra.setting_readers import SettingsError, a_choice, a_truth, an_object, shown

# AWS::IoT::ScheduledAudit: Frequency, DayOfWeek, DayOfMonth.
DAILY, WEEKLY, BIWEEKLY, MONTHLY = FREQUENCIES = ("DAILY", "WEEKLY", "BIWEEKLY", "MONTHLY")
DAYS_OF_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
DAYS_OF_MONTH = (*(str(day) for day in range(1, 32)), "LAST")


@dataclass(frozen=True, kw_only=True)
class DeviceDefenderSettings:
    """When it runs. ``account_configuration`` is whether this deployment also makes the account's configuration."""

    frequency: str = WEEKLY
    day_of_week: str | None = None
    day_of_month: str | None = None
    account_configuration: bool = True


def read_device_defender(where: str, value: Any) -> DeviceDefenderSettings | None:
    """Read the setting.

    Raises:
        SettingsError: a name or a value is not allowed, or the day does not go with the frequency.
    """
    if value is None:
        return None
    settings = DeviceDefenderSettings(
        **an_object(
            where,
            value,
            {
                "frequency": ("frequency", a_choice(*FREQUENCIES)),
                "dayOfWeek": ("day_of_week", a_choice(*DAYS_OF_WEEK)),
                "dayOfMonth": ("day_of_month", a_choice(*DAYS_OF_MONTH)),
                "accountConfiguration": ("account_configuration", a_truth),
            },
        )
    )
    by_week = settings.frequency in (WEEKLY, BIWEEKLY)
    for name, day, is_wanted in (
        ("dayOfWeek", settings.day_of_week, by_week),
        ("dayOfMonth", settings.day_of_month, settings.frequency == MONTHLY),
    ):
        if is_wanted and day is None:
            raise SettingsError(f"{where}.{name} is missing, but {where}.frequency {settings.frequency} needs it.")
        if day is not None and not is_wanted:
            raise SettingsError(
                f"{where}.{name} is {shown(day)}, but {where}.frequency {settings.frequency} has none: leave it out."
            )
    return settings
