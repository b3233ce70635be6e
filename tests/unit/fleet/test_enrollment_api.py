"""How long the operator's command waits when the deployment says: later."""

import pytest
from cryptography import x509

from fleet import enrollment_api
from fleet.enrollment_api import EnrollmentApi
from fleet.errors import Unreachable
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
