"""An MQTT broker that means harm: a sentence and an exit code, soon, and in little memory."""

import itertools
from collections.abc import Callable

import pytest

from tests.support.device.hostile_replies import BEFORE_HTTP, MEGABYTE, response, sampled
from tests.support.device.hostile_server import HostileServer, Script, Visit
from tests.support.device.victim import Victim, assert_told

# MQTT 3.1.1, section 3.
CONNACK, SUBACK, PUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01", b"\x40\x02\x00\x02"
_LONGEST = b"\xff\xff\xff\x7f"
"""A remaining length of 256 MB."""


def _after(*answers: bytes, then: Callable[[Visit], None] = Visit.say_nothing) -> Script:
    """Answer the packets that come with these, one each, and then do something else."""

    def script(visit: Visit) -> None:
        visit.secure()
        for answer in answers:
            visit.receive()
            visit.send(answer)
        then(visit)

    return script


def _publish(topic: bytes, *, length: int | None = None) -> bytes:
    body = (len(topic) if length is None else length).to_bytes(2, "big") + topic + b"payload"
    return b"\x30" + bytes([len(body)]) + body


BROKERS: dict[str, Script] = {
    "says nothing": _after(),
    "speaks HTTP": _after(response(b"<html>")),
    "speaks garbage": _after(bytes(range(255, 0, -1))),
    **{
        f"refuses with {code}": _after(bytes([0x20, 2, 0, code]), then=Visit.close) for code in (1, 2, 3, 4, 5, 99, 255)
    },
    "connects with nothing": _after(b"\x20\x00"),
    "connects with too much": _after(b"\x20\x7f" + bytes(127)),
    "connects with 256 MB": _after(b"\x20" + _LONGEST, then=lambda visit: visit.flood(b"x", most=64 * MEGABYTE)),
    "connects byte by byte": _after(
        then=lambda visit: visit.drip(itertools.chain(b"\x20" + _LONGEST, itertools.repeat(0)))
    ),
    "gives a length without an end": _after(b"\x30\xff\xff\xff\xff\xff\xff\x7f"),
    "closes when it has connected": _after(CONNACK, then=Visit.close),
    "resets when it has connected": _after(CONNACK, then=Visit.reset),
    "connects twice": _after(CONNACK + CONNACK),
    "connects for ever": _after(then=lambda visit: visit.flood(CONNACK)),
    "says nothing to SUBSCRIBE": _after(CONNACK),
    "denies SUBSCRIBE": _after(CONNACK, b"\x90\x03\x00\x01\x80"),
    "answers SUBSCRIBE with nothing": _after(CONNACK, b"\x90\x02\x00\x01"),
    "answers SUBSCRIBE with less": _after(CONNACK, b"\x90\x00"),
    "answers SUBSCRIBE with an unknown code": _after(CONNACK, b"\x90\x03\x00\x01\x7f"),
    "answers another SUBSCRIBE": _after(CONNACK, b"\x90\x03\xff\xff\x01"),
    "acknowledges and does not deliver": _after(CONNACK, SUBACK, PUBACK),
    "acknowledges with nothing": _after(CONNACK, SUBACK, b"\x40\x00"),
    "sends a topic that is no text": _after(CONNACK, SUBACK, _publish(b"\xff\xfe")),
    "sends a topic that is longer than the packet": _after(CONNACK, SUBACK, _publish(b"a", length=60_000)),
    "sends a topic of nothing": _after(CONNACK, SUBACK, _publish(b"")),
    "sends a publish of nothing": _after(CONNACK, SUBACK, b"\x30\x00"),
    "sends a publish of an unknown quality": _after(CONNACK, SUBACK, b"\x36\x05\x00\x01a\x00\x01"),
    "sends other messages for ever": _after(CONNACK, SUBACK, then=lambda visit: visit.flood(_publish(b"other"))),
    "sends 256 MB": _after(
        CONNACK, SUBACK, b"\x30" + _LONGEST + b"\x00\x01a", then=lambda visit: visit.flood(b"x", most=64 * MEGABYTE)
    ),
    "sends pings for ever": _after(CONNACK, then=lambda visit: visit.flood(b"\xc0\x00")),
    **{
        f"sends a packet of kind {kind:x}": _after(CONNACK, bytes([kind << 4, 2, 0, 1]))
        for kind in (0, 1, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)
    },
}


@pytest.mark.parametrize("what", sampled({**BEFORE_HTTP, **BROKERS}, every=8))
def test_a_broker_that_means_harm(victim: Victim, hostile: HostileServer, what: str) -> None:
    hostile.script = {**BEFORE_HTTP, **BROKERS}[what]
    before = victim.kept()
    ending = victim.run("publish", "--mqtt", "devices/{device}/t", "1", IOT_MQTT_PORT=str(hostile.port))
    assert_told(ending, 4, 8, 9, 10)
    assert victim.kept() == before
