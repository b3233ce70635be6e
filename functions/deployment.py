"""What a deployment chose, read once from the function's environment, and the AWS clients that go with it."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from cryptography import x509

from functions.clients import Clients
from ledger import Ledger
from pki import issuers
from pki.fingerprint import certificate_id

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_kms import KMSClient

# One attempt of a call may take this long, and a call gets three. The function's own timeout is 20 s: what the timeout
# interrupts, the next request repairs.
_REPEATABLE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
# CreateCertificateFromCsr makes another certificate at each call. A retry by the SDK whose first reply was lost
# would leave an active certificate that nobody knows of.
_NOT_REPEATABLE = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The environment variables, typed."""

    fleet: str
    issuer: str  # "kms", "aws" or "external"
    ledger_table: str
    iot_policy: str
    ca_certificates: tuple[x509.Certificate, ...]  # oldest first; the newest issues
    ca_key_arn: str
    subject: Mapping[str, str]
    validity_days: int
    topics: Mapping[str, Any]
    uninvited: str  # "refuse" or "approve"
    # What every new thing gets: type, attributes, groups, billingGroup; each may lack.
    things: Mapping[str, Any] = field(default_factory=dict)
    lifecycle: Mapping[str, str] = field(default_factory=dict)  # topics of a certificate's life: confirm, renew
    enrollment_url: str | None = None  # that stays when the API is made again; None when there is none
    role_alias: str | None = None  # of AWS IoT, by which devices get AWS credentials
    registrations_per_second: int | None = None  # None for AWS's own quota
    certificates_per_key_and_day: int | None = None  # None for no limit
    expired_grace_days: int | None = None  # for how long an expired certificate is renewed; None for ever

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Choices:
        """Read them, when the function starts.

        Raises:
            KeyError, ValueError: the template forgot one.
        """
        pem = environment["CA_CERTIFICATES"].encode()
        return cls(
            fleet=environment["FLEET"],
            issuer=environment["ISSUER"],
            ledger_table=environment["LEDGER_TABLE"],
            iot_policy=environment["IOT_POLICY"],
            ca_certificates=tuple(x509.load_pem_x509_certificates(pem)) if pem else (),
            ca_key_arn=environment.get("CA_KEY_ARN", ""),
            subject=json.loads(environment["CERTIFICATE_SUBJECT"]),
            validity_days=int(environment["CERTIFICATE_VALIDITY_DAYS"]),
            topics=json.loads(environment["TOPICS"]),
            uninvited=environment["UNINVITED"],
            things=json.loads(environment.get("THINGS", "{}")),
            lifecycle=json.loads(environment.get("LIFECYCLE", "{}")),
            enrollment_url=environment.get("ENROLLMENT_URL"),
            role_alias=environment.get("ROLE_ALIAS"),
            registrations_per_second=_number(environment, "REGISTRATIONS_PER_SECOND"),
            certificates_per_key_and_day=_number(environment, "CERTIFICATES_PER_KEY_AND_DAY"),
            expired_grace_days=_number(environment, "EXPIRED_GRACE_DAYS"),
        )

    def ca_certificate(self, issued_by: str) -> x509.Certificate | None:
        """The CA certificate of this id, if the deployment still has it."""
        return next((each for each in self.ca_certificates if certificate_id(each) == issued_by), None)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """A variable that a template may leave out: for a setting that is null, or that it does not know yet."""
    return int(environment[name]) if name in environment else None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a request needs of the world. Tests pass their own."""

    choices: Choices
    ledger: Ledger
    iot: IoTClient
    iot_once: IoTClient  # for the one call that must not be repeated, which is Amazon's CA's
    kms: KMSClient | None  # where the fleet's CA is there

    @classmethod
    def connect(cls, environment: Mapping[str, str], *, repeatable: Config = _REPEATABLE) -> Deployment:
        """Make the clients that the issuer needs, while the function starts: the processor is quicker then.

        Args:
            repeatable: how calls are tried again that may be repeated; by default for a device that waits.
        """
        choices = Choices.read(environment)
        clients = Clients()
        iot = clients.iot(repeatable)
        deployment = cls(
            choices=choices,
            ledger=Ledger(client=clients.dynamodb(repeatable), table=choices.ledger_table),
            iot=iot,
            iot_once=clients.iot(_NOT_REPEATABLE) if choices.issuer == issuers.AMAZON else iot,
            kms=clients.kms(repeatable) if choices.issuer == issuers.KMS else None,
        )
        gc.freeze()  # all that is there now stays: the collector need not look at it again
        return deployment

    @cached_property
    def data_endpoint(self) -> str:
        """The host name that this account's devices connect to; asked once, since it never changes.

        The ATS endpoint's certificate chains to Amazon's own roots (AWS IoT Developer Guide, server authentication).
        """
        return self.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]

    @cached_property
    def credential_endpoint(self) -> str:
        """The host name that gives this account's devices AWS credentials; asked once, as the other is."""
        return self.iot.describe_endpoint(endpointType="iot:CredentialProvider")["endpointAddress"]
