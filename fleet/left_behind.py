"""What a destroyed deployment left in the account, found without its stacks.

The ledger's name begins with that of the stack that made it, and the ledger has the rest: its CAs with the ARNs of
their keys, and the devices, whose certificates hold the IoT policy and name the CA that issued them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from cryptography import x509

from fleet.aws_session import AwsSession
from ledger import CertificateAuthority, Device, Ledger, State
from pki.fingerprint import certificate_id
from pki.issuers import AMAZON

# What ``infra.fleet_tag`` declares. The first release had no tags.
FLEET_TAG = "zymkey-fleet"
# Of the devices whose certificates are asked for their policy. They share one; more would take minutes to ask.
_SAMPLE = 20
# Part of the name that CloudFormation gives the policy: what the template calls it.
_POLICY_MARK = "DevicePolicy"


@dataclass(frozen=True, kw_only=True)
class LeftLedger:
    """A table, and what an operator can tell it apart by. Times are seconds since 1970."""

    table: str
    created_at: int
    devices: tuple[Device, ...]
    authorities: tuple[CertificateAuthority, ...]

    @property
    def enrolled(self) -> int:
        return sum(each.state is State.ENROLLED for each in self.devices)

    @property
    def changed_at(self) -> int | None:
        """When a device's state changed last."""
        return max((each.updated_at for each in self.devices), default=None)

    @property
    def is_in_use(self) -> bool:
        return bool(self.devices)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A CA as AWS IoT has it; ``is_marked`` says whether it has the tag by which the operators' policy knows it."""

    certificate_id: str
    arn: str
    status: str
    is_marked: bool


@dataclass(frozen=True, kw_only=True)
class LeftAuthority:
    """A CA in KMS.

    Attributes:
        registration: None when AWS IoT does not have the CA.
        key_state: such as ``Enabled`` and ``PendingDeletion`` (AWS KMS developer guide, key states).
    """

    authority: CertificateAuthority
    not_before: int
    registration: Registration | None
    key_state: str

    @property
    def is_usable(self) -> bool:
        return self.registration is not None and self.key_state in ("Enabled", "Disabled")


def stack_tables(session: AwsSession, stack: str) -> list[str] | None:
    """The tables that a stack declares; None where there is no such stack.

    Calls cloudformation:DescribeStacks and ListStackResources.
    """
    client = session.client("cloudformation")
    try:
        (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    pages = client.get_paginator("list_stack_resources").paginate(StackName=found["StackId"])
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    return [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::DynamoDB::Table"]


def ledgers(session: AwsSession, fleet: str, *, besides: Iterable[str]) -> list[LeftLedger]:
    """The fleet's tables, oldest first, but for ``besides``.

    Calls dynamodb:ListTables, DescribeTable and GetItem, and Query on the index ``listing``.
    """
    client = session.client("dynamodb")
    pages = client.get_paginator("list_tables").paginate()
    known = set(besides)
    names = [name for page in pages for name in page["TableNames"]]
    found = []
    for name in names:
        if not name.startswith(f"{fleet}-Trust-Ledger") or name in known:
            continue
        table = client.describe_table(TableName=name)["Table"]
        ledger = Ledger(client=client, table=name)
        found.append(
            LeftLedger(
                table=name,
                created_at=int(table["CreationDateTime"].timestamp()),
                devices=tuple(ledger.devices()),
                authorities=tuple(ledger.certificate_authorities()),
            )
        )
    return sorted(found, key=lambda each: each.created_at)


def iot_policies(session: AwsSession, devices: Iterable[Device]) -> list[str]:
    """The policies that the devices' certificates have, the most frequent first; the fleet's own before any other.

    Calls iot:DescribeCertificate and ListAttachedPolicies.
    """
    client = session.client("iot")
    with_certificate = [each for each in devices if each.certificate_id is not None]
    latest = sorted(with_certificate, key=lambda each: each.updated_at, reverse=True)[:_SAMPLE]
    counted: Counter[str] = Counter()
    for device in latest:
        arn = _certificate_arn(client, device.certificate_id)
        if arn is not None:
            counted.update(each["policyName"] for each in client.list_attached_policies(target=arn)["policies"])
    return sorted(counted, key=lambda name: (_POLICY_MARK not in name, -counted[name], name))


def is_fleets_own(policy: str) -> bool:
    """Whether a template of this project has named the policy."""
    return _POLICY_MARK in policy


def authorities(session: AwsSession, kept: Iterable[CertificateAuthority], *, fleet: str) -> Iterator[LeftAuthority]:
    """The CAs of a ledger, with what AWS IoT and KMS say about them.

    Calls iot:DescribeCACertificate, iot:ListTagsForResource and kms:DescribeKey.
    """
    for authority in kept:
        certificate = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
        yield LeftAuthority(
            authority=authority,
            not_before=int(certificate.not_valid_before_utc.timestamp()),
            registration=registration(session, certificate_id(certificate), fleet=fleet),
            key_state=_key_state(session.client("kms"), authority.key_arn),
        )


def registration(session: AwsSession, identifier: str, *, fleet: str) -> Registration | None:
    """A CA in AWS IoT, or None when it is not there. Calls iot:DescribeCACertificate and ListTagsForResource."""
    client = session.client("iot")
    try:
        described = client.describe_ca_certificate(certificateId=identifier)["certificateDescription"]
    except client.exceptions.ResourceNotFoundException:
        return None
    arn = described["certificateArn"]
    tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
    return Registration(
        certificate_id=identifier,
        arn=arn,
        status=described["status"],
        is_marked={"Key": FLEET_TAG, "Value": fleet} in tags,
    )


def issued_elsewhere(left: LeftLedger) -> set[str]:
    """The ids of the CAs that signed the devices' certificates and are neither in KMS nor Amazon's."""
    in_kms = {
        certificate_id(x509.load_pem_x509_certificate(each.certificate_pem.encode())) for each in left.authorities
    }
    return {each.issued_by for each in left.devices if each.issued_by is not None} - in_kms - {AMAZON}


def _certificate_arn(client: Any, identifier: str | None) -> str | None:
    try:
        return str(client.describe_certificate(certificateId=identifier)["certificateDescription"]["certificateArn"])
    except client.exceptions.ResourceNotFoundException:
        return None


def _key_state(client: Any, arn: str) -> str:
    try:
        return str(client.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])
    except client.exceptions.NotFoundException:
        return "deleted"
