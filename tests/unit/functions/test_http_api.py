"""The HTTP API's edges: what is decoded, how refusals are told, what leaves the function and what never does."""

import base64
import io
import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from functions.deployment import Choices, Deployment
from functions.handlers import http_api
from functions.refusals import NotYet, Unauthorized
from functions.reply import document, issued, refusal
from functions.request import decode
from ledger import (
    Blocked,
    Busy,
    DailyLimitReached,
    KeyTaken,
    LeaseLost,
    NotInvited,
    RequestsFull,
    TokenExpired,
    TokenSpent,
    WrongState,
)
from pki.fingerprint import certificate_id
from pki.issuers import ISSUERS
from tests.support.fleet.authority import CA, issue, new_key

TOKEN = "a-token-that-must-not-be-seen"


def event(route="GET /configuration", *, body="", is_base64=False, **headers):
    return {
        "version": "2.0",
        "routeKey": route,
        "headers": headers,
        "body": body,
        "isBase64Encoded": is_base64,
        "requestContext": {"requestId": "request-1"},
    }


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


def answer_to(error: Exception, monkeypatch) -> dict:
    def fail(request, deployment):
        raise error

    monkeypatch.setitem(http_api._ROUTES, "GET /configuration", fail)
    return http_api.answer(event(authorization=basic("pi-1", TOKEN)), deployment=None)


def test_a_body_that_api_gateway_wrapped_in_base64_is_unwrapped_once():
    est_body = base64.b64encode(b"the DER")
    request = decode(event(body=base64.b64encode(est_body).decode(), is_base64=True))
    assert request.body == est_body


def test_credentials_are_read_whatever_the_case_and_with_colons_in_the_token():
    credentials = decode(event(Authorization=basic("pi-1", "to:ken"))).credentials
    assert (credentials.name, credentials.token) == ("pi-1", "to:ken")


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!", "Bearer abc", basic("", "")[:8], "Basic cGk=", "Basic \u00e9", "\ud800", None, 7, []],
)
def test_what_is_no_basic_authentication_counts_as_none(header):
    assert decode(event(authorization=header)).credentials is None


def test_credentials_do_not_show_their_token():
    assert TOKEN not in repr(decode(event(authorization=basic("pi-1", TOKEN))).credentials)


def test_an_issued_certificate_goes_out_alone_and_on_one_line():
    certificate = issue(new_key())
    reply = issued(certificate).encode()
    assert reply["headers"]["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    assert reply["isBase64Encoded"] is False
    assert not set(reply["body"]) & set("\r\n ")
    assert pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply["body"])) == [certificate]
    assert sum(len(name) + len(value) + 4 for name, value in reply["headers"].items()) < 1024


OURS = "application/vnd.zymkey-fleet.enrollment+json"


@pytest.mark.parametrize(
    ("header", "names_it"),
    [
        (f"{OURS}, application/pkcs7-mime;q=0.9", True),
        (f"text/plain,{OURS.upper()} ; q=0.1", True),
        (f"{OURS};q=0, application/pkcs7-mime", False),
        (f"{OURS}; q=0.00", False),
        *((each, False) for each in ("", "*/*", "application/*", f"x{OURS}", f"{OURS}x", ";,;=", None, 7, "\ud800")),
    ],
)
def test_only_a_client_that_names_our_type_exactly_accepts_it(header, names_it):
    assert (OURS in decode(event(Accept=header)).accepts) is names_it


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (NotInvited("There is no invitation for a device 'pi-1'."), 401, None),
        (TokenExpired("This token has expired."), 401, None),
        (TokenSpent("Another key has used this token."), 401, None),
        (KeyTaken("The key belongs to 'pi-2'."), 403, None),
        (Blocked("Device 'pi-1' is blocked."), 403, None),
        (Busy(7), 202, "7"),
        (LeaseLost("Another request works for it."), 202, "1"),
        (RequestsFull("200 keys wait."), 429, "300"),
        (DailyLimitReached("pi-1", at_most=10, retry_after=3000), 429, "3000"),
        (WrongState("There is no device 'pi-1'."), 409, None),
        (NotYet("Not yet.", retry_after=60), 202, "60"),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "RegisterCertificate"), 503, "5"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "Sign"), 503, "10"),
        (EndpointConnectionError(endpoint_url="https://iot"), 503, "10"),
        (ZeroDivisionError(TOKEN), 503, "10"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_failure_has_its_status_and_one_sentence(error, status, retry_after, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(http_api.log, "stream", stream)
    reply = answer_to(error, monkeypatch)
    assert reply["statusCode"] == status
    assert reply["headers"].get("Retry-After") == retry_after
    assert reply["body"].strip().endswith((".", "NAME", "`.", "request-1."))
    assert "Traceback" not in reply["body"]
    written = stream.getvalue()
    assert written, "a refusal is logged"
    assert TOKEN not in reply["body"] + written
    assert "Traceback" not in written


def test_a_key_of_another_device_is_not_told_whose_it_is(monkeypatch):
    assert "pi-2" not in answer_to(KeyTaken("The key belongs to 'pi-2'."), monkeypatch)["body"]


def test_a_failure_names_the_request_that_the_operator_finds_in_the_log(monkeypatch):
    assert "request-1" in answer_to(ZeroDivisionError(), monkeypatch)["body"]


def test_no_proxy_keeps_a_reply():
    for reply in (
        issued(issue(new_key())),
        document({}),
        refusal(Unauthorized("No.")),
        refusal(NotYet("", retry_after=1)),
    ):
        assert reply.encode()["headers"]["Cache-Control"] == "no-store"


def test_a_401_carries_the_challenge_that_makes_clients_send_credentials():
    assert refusal(Unauthorized("No.")).headers["WWW-Authenticate"] == 'Basic realm="zymkey-fleet"'


def test_what_fails_while_the_event_is_decoded_is_a_reply_too(monkeypatch):
    assert http_api.answer(event(body="a", is_base64=True), deployment=None)["statusCode"] == 400
    assert http_api.answer({}, deployment=None)["statusCode"] == 404
    monkeypatch.setattr(http_api, "decode", lambda event: 1 / 0)
    reply = http_api.answer(event(), deployment=None)
    assert (reply["statusCode"], "request-1" in reply["body"]) == (503, True)


def test_an_unknown_route_is_404():
    assert http_api.answer(event("GET /nothing"), deployment=None)["statusCode"] == 404


def test_what_the_template_forgot_is_noticed_at_start_up():
    with pytest.raises(KeyError, match="CA_CERTIFICATES"):
        Choices.read({"FLEET": "zymkey"})


ENVIRONMENT = {
    "FLEET": "zymkey",
    "ISSUER": "kms",
    "LEDGER_TABLE": "table",
    "IOT_POLICY": "policy",
    "CA_CERTIFICATES": CA.public_bytes(Encoding.PEM).decode() * 2,
    "CERTIFICATE_SUBJECT": json.dumps({}),
    "CERTIFICATE_VALIDITY_DAYS": "365",
    "TOPICS": "{}",
    "UNINVITED": "refuse",
}


def test_each_call_is_repeated_but_the_one_that_would_sign_a_second_certificate(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for issuer in ISSUERS:
        deployment = Deployment.connect(ENVIRONMENT | {"ISSUER": issuer})
        clients = [deployment.iot, deployment.ledger._table._client, *([deployment.kms] if issuer == "kms" else [])]
        assert {each.meta.config.retries["total_max_attempts"] for each in clients} == {3}
        assert (deployment.kms is None) is (issuer != "kms"), "what it does not need, it does not make"
        if issuer == "aws":  # which alone signs with it
            assert deployment.iot_once.meta.config.retries["total_max_attempts"] == 1


def test_ca_certificates_are_found_by_the_id_that_the_ledger_wrote_down():
    choices = Choices.read(ENVIRONMENT)
    assert len(choices.ca_certificates) == 2
    assert choices.ca_certificate(certificate_id(CA)) == CA
    assert choices.ca_certificate("0" * 64) is None
