"""The setting ``things``, by AWS IoT's own rules."""

from typing import Any

import pytest

from infra.setting_readers import SettingsError
from infra.things import read_things


def test_what_is_not_set_is_not_told_to_the_functions() -> None:
    assert read_things("things", None) is None
    things = read_things("things", {"type": None, "attributes": {"site": "berlin"}, "groups": ["a", "b"]})
    assert things is not None
    assert things.document() == {"attributes": {"site": "berlin"}, "groups": ["a", "b"]}


def test_the_groups_of_all_things_are_among_those_that_a_device_may_be_given() -> None:
    things = read_things("things", {"groups": ["a", "b"], "allowedGroups": ["c", "a"]})
    assert things is not None
    assert things.usable_groups == ("a", "b", "c")
    assert things.document() == {"groups": ["a", "b"], "allowedGroups": ["c", "a"]}


def test_a_type_makes_room_for_more_attributes() -> None:
    many = {f"a{number}": "x" for number in range(49)}
    things = read_things("things", {"type": "sensor", "attributes": many})
    assert things is not None
    assert len(things.attributes) == 49


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"kind": "x"}, "things.kind is not a setting"),
        ({"type": "a b"}, 'things.type is "a b", but must be a name of 1 to 128'),
        ({"groups": "a"}, 'things.groups is "a", but must be a list of at most 10 thing groups'),
        ({"allowedGroups": ["a b"]}, 'things.allowedGroups[0] is "a b"'),
        ({"allowedGroups": ["a"] * 21}, "must be a list of at most 20 thing groups"),
        (
            {"groups": ["a" * 128, "b" * 128], "allowedGroups": ["c" * 128, "d" * 128, "b" * 128, "e"]},
            "things.groups and things.allowedGroups have 513 characters together, but the operator's policy has room "
            "for 512",
        ),
        ({"groups": ["a", "a"]}, "must name each group once"),
        ({"groups": ["ä"]}, 'things.groups[0] is "ä"'),
        ({"attributes": ["a"]}, "must be an object of names and values"),
        ({"attributes": {"a b": "c"}}, "things.attributes: the name is"),
        ({"attributes": {"a": "b c"}}, 'things.attributes.a is "b c", but must be 1 to 800'),
        ({"attributes": {"zymkey-fleet": "x"}}, "things.attributes.zymkey-fleet is the fleet's mark"),
        ({"attributes": {"a": "1", "b": "2", "c": "3"}}, "has 3 attributes, but AWS IoT has room for 2 beside the"),
    ],
)
def test_what_aws_iot_would_not_take_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_things("things", value)
    assert sentence in str(refused.value)
