"""No token is in a reply or a log line, whatever fails: neither as it is, nor as it travels."""

import base64
import io
import logging
from contextlib import suppress

import pytest

from functions.handlers import http_api
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate
from tests.support.aws_functions import ENROLL, UPLOAD, pem


@pytest.fixture
def written(monkeypatch):
    """All that the function, the AWS SDK and every other library log, down to the last detail."""
    stream = io.StringIO()
    monkeypatch.setattr(http_api.log, "stream", stream)
    everything = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(everything)
    yield stream
    root.removeHandler(everything)


def assert_unseen(candidate, *texts):
    forms = [
        candidate.token,
        base64.b64encode(f"{candidate.name}:{candidate.token}".encode()).decode(),
        base64.b64encode(candidate.token.encode()).decode().rstrip("="),
    ]
    for text in texts:
        for form in forms:
            assert form not in text


@pytest.mark.parametrize("issuer", ["kms", "aws", "external"], indirect=True)
@pytest.mark.parametrize("kind", ["refused", "lost", "throttled", "killed"])
def test_no_token_is_seen_whichever_call_fails(fleet, written, kind):
    clean = Faults()
    fleet.enroll(fleet.invite(Candidate()), clean)
    for position in range(len(clean.calls)):
        candidate = fleet.invite(Candidate())
        with suppress(Killed):
            assert_unseen(candidate, fleet.enroll(candidate, Faults(position=position, kind=kind)).text)
        assert_unseen(candidate, written.getvalue())
    assert written.getvalue()


@pytest.mark.parametrize("issuer", ["external"], indirect=True)
@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"-----BEGIN", "own token", "own certificate", "another's certificate", "own CSR"]
)
@pytest.mark.parametrize("route", [ENROLL, UPLOAD])
def test_no_token_is_seen_whatever_is_sent_with_it(fleet, authority, written, route, body):
    candidate = fleet.invite(Candidate())
    bodies = {
        "own token": candidate.token.encode(),
        "own certificate": pem(authority.sign(candidate)),
        "another's certificate": pem(authority.sign(Candidate())),
        "own CSR": candidate.csr,
    }
    for name in (candidate.name, "somebody-else", "no name"):
        reply = fleet.post(route, bodies.get(body, body), credentials=(name, candidate.token))
        assert_unseen(candidate, reply.text, written.getvalue())
