"""A deployed fleet, and plain HTTP to its endpoint."""

from __future__ import annotations

import base64
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from ledger import Ledger
from tests.support.aws_fleet import Candidate, Fleet, assert_enrolled, csr_body, new_name

__all__ = ["Candidate", "Cloud", "assert_enrolled", "csr_body", "issued", "new_name"]


class Cloud(Fleet):
    """A deployed fleet: its endpoint, its ledger, and AWS IoT behind it."""

    def __init__(self, sandbox: Any) -> None:
        self.url: str = sandbox.url
        self.ca_bundle: str = sandbox.env["CA_BUNDLE"]
        stack = sandbox.boto("cloudformation").describe_stacks(StackName="zymkey-Enrollment")["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        super().__init__(
            issuer=self.outputs["Issuer"],
            iot_policy=self.outputs["IotPolicy"],
            iot=sandbox.boto("iot"),
            ledger=Ledger(client=sandbox.boto("dynamodb"), table=self.outputs["LedgerTable"]),
        )
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = sandbox.env["CA_BUNDLE"]

    def get(self, path: str) -> requests.Response:
        return self._http.get(self.url + path, timeout=30)

    def post(
        self, path: str, body: bytes, *, credentials: tuple[str, str] | None = None, content_type="application/pkcs10"
    ) -> requests.Response:
        return self._http.post(
            self.url + path, data=body, auth=credentials, headers={"Content-Type": content_type}, timeout=30
        )

    def enroll(self, candidate: Candidate, *, with_token: bool = True, operation="simpleenroll") -> requests.Response:
        credentials = (candidate.name, candidate.token) if with_token else None
        return self.post(f"/.well-known/est/{operation}", candidate.csr, credentials=credentials)


def issued(reply: requests.Response) -> x509.Certificate:
    """The one certificate of an EST reply."""
    assert reply.status_code == 200, f"{reply.status_code} {reply.text}"
    assert reply.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.content, validate=True))
    return certificate
