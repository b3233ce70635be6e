"""Which topic templates are safe to give to a whole fleet."""

import pytest

from infra.topics import Topics, template_problem


@pytest.mark.parametrize(
    "template",
    [
        *("devices/{device}/*", "{device}", "{device}/*", "dt/plant-1/{device}/temperature"),
        *("{fleet}/{device}/*", "{fleet}/alerts", "plant/{fleet}/{device}"),
        *("alerts/all", "a/{device}/c/d/e/f/g/h", "v1.0/{device}/state_now"),
    ],
)
def test_a_template_is_taken(template: str) -> None:
    assert template_problem(template) is None


@pytest.mark.parametrize(
    "template",
    [
        *("*", "devices/*", "*/{device}", "devices/*/{device}", "devices/{device}/*/up", "alerts/*"),
        # {device} that is no whole level would let pi-1 write as pi-10.
        *("{fleet}/*", "{fleet}*", "x{fleet}/{device}"),
        *("devices/{device}*", "devices/x{device}/*", "devices/{device}x"),
    ],
)
def test_a_template_that_reaches_other_devices_topics_is_refused(template: str) -> None:
    assert template_problem(template)


@pytest.mark.parametrize(
    "template",
    [
        *("", "/", "/devices/{device}", "devices//{device}", "devices/{device}/"),
        *("devices/{device}/#", "devices/+/{device}", "$aws/things/{device}/shadow/update", "${iot:ClientId}"),
        *("devices/{name}", "devices/{device}/?", "devices/{device}/a b", "devices/{device}/é"),
    ],
)
def test_what_is_no_plain_mqtt_topic_is_refused(template: str) -> None:
    assert template_problem(template)


def test_a_topic_may_have_seven_slashes_and_no_more() -> None:
    assert template_problem("/".join(["a"] * 8)) is None
    assert template_problem("/".join(["a"] * 9)) == "must have at most 7 slashes"


def test_the_fleet_s_name_is_filled_in_and_the_device_s_is_not() -> None:
    topics = Topics(publish=("{fleet}/{device}/*", "alerts/{fleet}"), subscribe=("all",)).of_fleet("acme")
    assert topics == Topics(publish=("acme/{device}/*", "alerts/acme"), subscribe=("all",))
