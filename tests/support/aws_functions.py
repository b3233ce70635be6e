"""The functions' own code in this process, with AWS on loopback.

So a test can break single AWS calls, and see a year from now. The SDK's own retries are off: they would hide each
fault that happens once.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from functions.deployment import Choices, Deployment
from functions.handlers import http_api
from ledger import Ledger
from tests.support.aws_faults import Faults
from tests.support.aws_fleet import Candidate, Fleet
from tests.support.role import HTTP_API, OfRole, granted

ENROLL = "/.well-known/est/simpleenroll"
UPLOAD = "/certificates"

each_issuer = pytest.mark.parametrize("issuer", ["kms", "aws", "external"], indirect=True)
each_issuer_that_signs = pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the HTTP API would send."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def retry_after(self) -> int:
        return int(self.headers["Retry-After"])

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class FunctionsInProcess(Fleet):
    """A deployment whose functions run here.

    Attributes:
        choices: what the template would tell the functions.
    """

    def __init__(
        self, *, choices: Choices, client: Callable[[str], Any], breakable_client: Callable[[str], Any]
    ) -> None:
        """Both give the client of a service; ``breakable_client`` gives one that faults may stand before."""
        super().__init__(
            issuer=choices.issuer,
            iot_policy=choices.iot_policy,
            iot=client("iot"),
            ledger=Ledger(client=client("dynamodb"), table=choices.ledger_table),
        )
        self.choices = choices
        self._client = client
        self._breakable_client = breakable_client

    def deployment(self, faults: Faults | None = None, *, handler: str = HTTP_API) -> Deployment:
        """What a request gets, with the permissions of a handler's role.

        One with faults is good until the next one with faults is made.
        """
        client = self._breakable_client if faults else self._client
        clients = [client(service) for service in ("iot", "kms", "dynamodb")]
        if faults:
            faults.watch(*clients)
        permitted = granted(self.choices.issuer, handler)
        if self.choices.things.get("groups") or self.choices.things.get(
            "allowedGroups"
        ):  # what tests/template/test_permissions.py holds of these settings
            permitted |= {"iot:AddThingToThingGroup", "iot:ListThingGroupsForThing", "iot:ListThingsInThingGroup"}
        iot, kms, dynamodb = (cast(Any, OfRole(each, permitted)) for each in clients)
        return Deployment(
            choices=self.choices,
            ledger=Ledger(client=dynamodb, table=self.choices.ledger_table),
            iot=iot,
            iot_once=iot,
            kms=kms,
        )

    def answer(
        self,
        route: str,
        body: bytes = b"",
        *,
        credentials: tuple[str, str] | None = None,
        faults: Faults | None = None,
        later: int = 0,
        accept: str | None = None,
    ) -> Reply:
        """Answer a request, as if ``later`` seconds had passed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http_api, "_now", lambda: time.time() + later)
            event = api_event(route, body, credentials=credentials)
            if accept is not None:
                event["headers"]["accept"] = accept
            return reply_of(http_api.answer(event, self.deployment(faults)))

    def get(self, path: str) -> Reply:
        return self.answer(f"GET {path}")

    def post(self, path: str, body: bytes, **options: Any) -> Reply:
        """``options`` are those of ``answer``."""
        return self.answer(f"POST {path}", body, **options)

    def enroll(
        self, candidate: Candidate, faults: Faults | None = None, *, later: int = 0, with_token: bool = True
    ) -> Reply:
        """Answer a candidate's CSR."""
        credentials = (candidate.name, candidate.token) if with_token else None
        return self.post(ENROLL, candidate.csr, credentials=credentials, faults=faults, later=later)


def api_event(route: str, body: bytes = b"", *, credentials: tuple[str, str] | None = None) -> dict[str, Any]:
    """A request as the HTTP API hands it to its function (payload format 2.0)."""
    headers = {}
    if credentials:
        headers["authorization"] = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
    return {
        "version": "2.0",
        "routeKey": route,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "requestContext": {"requestId": "test"},
    }


def reply_of(answer: dict[str, Any]) -> Reply:
    """What the HTTP API makes of the function's answer."""
    assert answer["isBase64Encoded"] is False
    return Reply(status=answer["statusCode"], headers=answer["headers"], text=answer["body"])


def issued(reply: Reply) -> x509.Certificate:
    """The one certificate of an EST reply."""
    assert reply.status == 200, f"{reply.status} {reply.text}"
    assert reply.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.text, validate=True))
    return certificate


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def life_of(certificate: x509.Certificate) -> float:
    """Seconds."""
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()
