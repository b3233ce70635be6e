"""Which devices the index gives: ranges of names, states, ends of certificates; and how few calls that takes."""

import pytest

from ledger import INVITED_EXPIRED, DeviceFilter, State, shown_state
from tests.support.ledger import NOW, enroll, invite

KEYS = {name: "SHA256:" + str(number) * 43 for number, name in enumerate(("Pi-3", "pi-10", "pi-2", "pi_1"))}


@pytest.fixture
def devices(ledger):
    """One of each state, by name; `pi-2` has a certificate that ends at NOW + 3000, `pi_1` one that ends later."""
    for name, key in KEYS.items():
        ledger.allow(name, fingerprint=key, by="alice", now=NOW)
    enroll(ledger, 1, device="pi-2", fingerprint=KEYS["pi-2"])
    enroll(ledger, 2, device="pi_1", fingerprint=KEYS["pi_1"], life=9000)
    ledger.block("pi_1", by="alice", now=NOW)
    invite(ledger, "pi-30", expires=NOW + 60)
    invite(ledger, "pi-31", expires=NOW + 600)
    return ledger


EVERY = ["Pi-3", "pi-10", "pi-2", "pi-30", "pi-31", "pi_1"]


@pytest.mark.parametrize(
    ("which", "names"),
    [
        ({}, EVERY),
        ({"prefix": "pi-"}, ["pi-10", "pi-2", "pi-30", "pi-31"]),
        ({"prefix": "pi-3"}, ["pi-30", "pi-31"]),
        ({"prefix": "x"}, []),
        ({"after": "pi-2"}, ["pi-30", "pi-31", "pi_1"]),
        ({"after": "pi-3"}, ["pi-30", "pi-31", "pi_1"]),
        ({"after": "pi-30", "prefix": "pi-"}, ["pi-31"]),
        ({"after": "a", "prefix": "pi-3"}, ["pi-30", "pi-31"]),
        ({"after": "z", "prefix": "pi-"}, []),
        ({"after": "Pi-3", "until": "pi-30"}, ["pi-10", "pi-2", "pi-30"]),
        ({"states": {State.ENROLLED}}, ["pi-2"]),
        ({"states": {State.ENROLLED, State.BLOCKED}}, ["pi-2", "pi_1"]),
        ({"states": {State.INVITED}}, ["Pi-3", "pi-10", "pi-31"]),
        ({"states": {INVITED_EXPIRED}}, ["pi-30"]),
        ({"states": {State.INVITED, INVITED_EXPIRED, State.PENDING}}, ["Pi-3", "pi-10", "pi-30", "pi-31"]),
        ({"expires_by": NOW + 3000}, ["pi-2"]),
        ({"expires_by": NOW + 2999}, []),
        ({"expires_by": NOW + 9000, "states": {State.BLOCKED}, "prefix": "pi"}, ["pi_1"]),
        ({"has_certificate": True}, ["pi-2", "pi_1"]),
        ({"waits_for_signature": True}, []),
    ],
)
def test_the_index_gives_the_devices_that_are_meant_by_name(devices, which, names):
    wanted = DeviceFilter(now=NOW + 60, **which)
    assert [each.name for each in devices.devices(wanted)] == names
    assert devices.count_devices(wanted) == len(names)
    assert [each.name for each in devices.devices(wanted, limit=2)] == names[:2]


def test_a_state_of_the_filter_is_what_the_list_shows(devices):
    shown = {each.name: shown_state(each, NOW + 60) for each in devices.devices()}
    assert set(shown.values()) == {"invited", "invited-expired", "enrolled", "blocked"}
    for state in shown.values():
        found = [each.name for each in devices.devices(DeviceFilter(states={state}, now=NOW + 60))]
        assert found == [name for name, its in shown.items() if its == state]


def test_no_more_is_read_than_the_limit_when_nothing_is_filtered(devices, dynamodb):
    queries = []
    dynamodb.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: queries.append(params), unique_id="listing"
    )
    try:
        assert [each.name for each in devices.devices(limit=2)] == EVERY[:2]
        devices.count_devices()
    finally:
        dynamodb.meta.events.unregister("provide-client-params.dynamodb.Query", unique_id="listing")
    first, second = queries
    assert first["Limit"] == 2
    assert second["Select"] == "COUNT"
