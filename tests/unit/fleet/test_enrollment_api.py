"""How long the operator's command waits when the deployment says: later."""

import pytest
from cryptography import x509

from fleet import enrollment_api
from fleet.enrollment_api import EnrollmentApi
from fleet.errors import Refused, UnexpectedReply, Unreachable
from fleet.https import Reply
from tests.support.device.authority import Authority


@pytest.fixture
def certificate() -> x509.Certificate:
    return Authority().certificate


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5), (" 7 ", 7), ("0", 1), ("-3", 1), ("9" * 5000, 1), ("86400", 30), ("²", 1), ("soon", 1), (None, 1)],
    ids=range(9),
)
def test_retry_after_is_bounded_on_both_sides(
    certificate: x509.Certificate, header: str | None, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    reply = Reply(url="https://a.example/certificates", status_code=503, headers=headers, content=b"Later.")
    slept: list[float] = []
    monkeypatch.setattr(EnrollmentApi, "send", lambda *_, **__: reply)
    monkeypatch.setattr(enrollment_api.time, "sleep", slept.append)

    with pytest.raises(Unreachable, match="Later"):
        EnrollmentApi("https://a.example").upload(certificate)

    assert slept == [seconds] * 5


@pytest.mark.parametrize("status", [202, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("call", ["upload", "configuration", "ca_certificates"])
def test_what_passes_by_itself_is_asked_for_again(
    certificate: x509.Certificate, call: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 is what API Gateway answers while CloudFormation updates the function."""
    url = "https://a.example/"
    replies = [Reply(url=url, status_code=each, headers={}, content=b"") for each in (status, status, 418)]
    slept: list[float] = []
    monkeypatch.setattr(EnrollmentApi, "send", lambda *_, **__: replies.pop(0))
    monkeypatch.setattr(enrollment_api.time, "sleep", slept.append)
    api = EnrollmentApi(url)
    with pytest.raises((Refused, UnexpectedReply)):
        {"upload": lambda: api.upload(certificate)}.get(call, getattr(api, call))()
    assert (replies, slept) == ([], [1, 1])


def test_only_an_upload_is_sent_again_when_there_was_no_reply(
    certificate: x509.Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def send(_: EnrollmentApi, method: str, path: str, **__: object) -> Reply:
        sent.append(path)
        raise Unreachable("No answer.")

    monkeypatch.setattr(EnrollmentApi, "send", send)
    monkeypatch.setattr(enrollment_api.time, "sleep", lambda _: None)
    api = EnrollmentApi("https://a.example")
    for call in (api.configuration, lambda: api.upload(certificate)):
        with pytest.raises(Unreachable):
            call()
    assert sent == ["/configuration", *["/certificates"] * 6]
