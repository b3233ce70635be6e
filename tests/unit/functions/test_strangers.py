"""Whatever a caller sends is answered, and never with a 5xx: random events made of real and odd CSRs and certificates.

Each example of hypothesis is a batch of events, so that ``make test-slow`` tries 100,000 in a minute or two.
"""

from __future__ import annotations

import base64
import io
import random
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.deployment import Choices, Deployment
from functions.handlers import http_api
from ledger import Ledger
from pki import armour
from pki.der import DerError, Element, read
from tests.support.aws_functions import ENROLL, UPLOAD
from tests.support.der import tlv
from tests.support.fleet.authority import CA, csr, issue, new_key

EVENTS_IN_A_BATCH = 20
VECTORS = Path(cryptography_vectors.__path__[0]) / "x509"
ROUTES = [f"POST {ENROLL}", f"POST {UPLOAD}", "GET /.well-known/est/cacerts", "GET /configuration", "GET /nothing", ""]


class EmptyTable:
    """A DynamoDB that holds nothing and takes everything. What needs more is not a stranger's."""

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {}

    def transact_write_items(self, **_: Any) -> dict[str, Any]:
        return {}

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [{"Items": []}])


class Endpoint:
    def describe_endpoint(self, **_: str) -> dict[str, str]:
        return {"endpointAddress": "data.example.com"}


def deployment(issuer: str, uninvited: str) -> Deployment:
    choices = Choices(
        fleet="zymkey",
        issuer=issuer,
        ledger_table="ledger",
        iot_policy="devices",
        ca_certificates=() if issuer == "aws" else (CA,),
        ca_key_arn="",
        subject={},
        validity_days=365,
        topics={},
        uninvited=uninvited,
    )
    ledger = Ledger(client=EmptyTable(), table="ledger")  # type: ignore[arg-type]
    iot: Any = Endpoint()
    return Deployment(choices=choices, ledger=ledger, iot=iot, iot_once=iot, kms=iot)


DEPLOYMENTS = [
    deployment(issuer, uninvited) for issuer in ("kms", "aws", "external") for uninvited in ("refuse", "approve")
]


@cache
def seeds() -> list[bytes]:
    """DER of CSRs and certificates: good ones, and every odd one of the vectors."""
    files = [path.read_bytes() for path in sorted(VECTORS.rglob("*")) if path.suffix in (".pem", ".der", ".crt")]
    files += [csr(new_key()).encode()] * 30
    found = []
    for each in files:
        try:
            found += [block.der for block in armour.unwrap(each)]
        except armour.ArmourError:
            continue
    return found + [issue(new_key()).public_bytes(Encoding.DER)] * 30


def mutated(der: bytes, rng: random.Random) -> bytes:
    """Changed in some bytes, or in one element of the DER: its tag, its content, its length, its place."""
    if rng.random() < 0.3:
        changed = bytearray(der)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed[: rng.choice([len(changed), rng.randrange(len(changed)) + 1])])
    try:
        return rebuilt(read(der), rng, [rng.randint(1, 30)])
    except DerError:
        return der


def rebuilt(element: Element, rng: random.Random, countdown: list[int]) -> bytes:
    """The element with one of those inside of it, the ``countdown``th, changed; all lengths fit again."""
    countdown[0] -= 1
    if countdown[0] == 0:
        return rng.choice(
            [
                lambda: b"",
                lambda: element.der * 2,
                lambda: tlv(rng.randrange(256), element.content),
                lambda: tlv(element.tag, rng.randbytes(rng.randint(0, 40))),
                lambda: tlv(element.tag, bytes([rng.choice([0x80, 0xFF, 0])]), element.content),
                lambda: bytes([element.tag, rng.randrange(256)]) + element.content,
                lambda: bytes([element.tag, 0x80]) + element.content + b"\0\0",
                lambda: tlv(0x06, rng.randbytes(5)),
                lambda: tlv(0x06, b"\xff" * 2100, b"\x01"),  # a number of more digits than Python writes
                lambda: tlv(element.tag, b"x" * 1500),
            ]
        )()
    if not element.tag & 0x20:
        return element.der
    return tlv(element.tag, *(rebuilt(each, rng, countdown) for each in element.children()))


def wrapped(der: bytes, rng: random.Random) -> bytes:
    label = rng.choice(["CERTIFICATE", "CERTIFICATE REQUEST", "PRIVATE KEY", "\xe9"])
    pem = f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode("latin-1")
    return rng.choice([lambda: der, lambda: base64.b64encode(der), lambda: pem, lambda: pem * 2, lambda: pem[:-9]])()


ODD: list[Any] = [None, "", 0, [], {}, "\ud800", "é", b"bytes", 1.5, True, "a" * 3000, "\x1b[31m\n", {"a": 1}]


def event_of(rng: random.Random) -> Any:
    body = wrapped(mutated(rng.choice(seeds()), rng) if rng.random() < 0.8 else rng.choice(seeds()), rng)
    is_base64 = rng.random() < 0.8
    token = rng.choice([b"pi-1:token", b"pi-1:", b":", b"\xff:\xff", b"../x:y", "p\u00ef:t".encode()])
    header = rng.choice(["", "Basic é", "Basic " + base64.b64encode(token).decode(), "Bearer x", "Basic", "basic  !!"])
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": rng.choices(ROUTES, [40, 40, 5, 5, 5, 5])[0],
        "headers": {rng.choice(["authorization", "Authorization"]): header},
        "body": base64.b64encode(body).decode() if is_base64 else body.decode("latin-1"),
        "isBase64Encoded": is_base64,
        "requestContext": {"requestId": "1", "http": {"sourceIp": rng.choice(["1.2.3.4", "2001:db8::1", "x"])}},
    }
    if rng.random() < 0.2:
        name = rng.choice(list(event))
        if rng.random() < 0.3:
            del event[name]
        else:
            event[name] = rng.choice(ODD)
    return event


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Of a hundred thousand refusals no line is wanted."""
    http_api.log.stream = Discarded()
    yield
    http_api.log.stream = None


class Discarded(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@pytest.mark.filterwarnings("error")
@settings(deadline=None)  # it counts the time of other processes, too
@given(st.integers(0, 2**64))
def test_nothing_that_a_caller_sends_is_a_5xx(seed):
    rng = random.Random(seed)  # noqa: S311
    for _ in range(EVENTS_IN_A_BATCH):
        event = event_of(rng)
        began = time.process_time()
        reply = http_api.answer(event, rng.choice(DEPLOYMENTS))
        assert time.process_time() - began < 1, event
        assert 200 <= reply["statusCode"] < 500, event
        assert reply["statusCode"] == 200 or len(reply["body"]) < 1_100, event


def test_the_events_reach_what_they_are_meant_for():
    """A good CSR of a stranger waits or is refused, and a good certificate too: the fuzzing is not all noise."""
    rng = random.Random(1)  # noqa: S311
    statuses = {http_api.answer(event_of(rng), rng.choice(DEPLOYMENTS))["statusCode"] for _ in range(2000)}
    assert statuses >= {200, 202, 400, 401, 404}
