"""What a destroyed deployment left in the account: read, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from fleet import left_behind, prices
from fleet.aws_session import AwsSession
from fleet.left_behind import LeftAuthority, LeftLedger, Registration
from ledger import THING_MARK, Certificate, Ledger


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Names and ids, by kind, in the order in which they go.

    Attributes:
        certificates: of the ledger's, those that AWS IoT may still have.
        things: with the fleet's mark, of devices of the ledger.
        iot_policies: names.
        registrations: of the fleet's CAs.
        keys: ARNs of the CAs' keys in KMS whose deletion is not scheduled.
        people: the managed policies for people: name, and ARN.
        table_bytes: how large the ledger is, by DynamoDB, which counts every six hours.
    """

    fleet: str
    table: str
    certificates: list[Certificate]
    things: list[str]
    iot_policies: list[str]
    registrations: list[Registration]
    keys: list[str]
    people: dict[str, str]
    table_bytes: int

    def document(self) -> dict[str, Any]:
        """For ``--json``: how many of each kind, or which."""
        return {
            "certificates": len(self.certificates),
            "things": len(self.things),
            "iotPolicies": self.iot_policies,
            "caRegistrations": [each.certificate_id for each in self.registrations],
            "keys": self.keys,
            "managedPolicies": sorted(self.people),
            "table": self.table,
            "usdAMonth": round(self.usd_a_month, 2),
        }

    @property
    def usd_a_month(self) -> float:
        """What it costs while it stays. AWS IoT asks nothing for certificates, things and policies."""
        gigabytes = self.table_bytes / 1e9
        return len(self.keys) * prices.KEY + gigabytes * (prices.STORED_GB + prices.BACKED_UP_GB)


def take(session: AwsSession, fleet: str, left: LeftLedger) -> Inventory:
    """Look for everything that this ledger knows of, and what CloudFormation has named after the fleet.

    Calls dynamodb:DescribeTable, Query, GetItem and Scan, iot:ListThings, ListPolicies, DescribeCACertificate and
    ListTagsForResource, kms:DescribeKey and iam:ListPolicies.
    """
    dynamodb, iot = session.client("dynamodb"), session.client("iot")
    ledger = Ledger(client=dynamodb, table=left.table)
    names = {each.name for each in ledger.survey()}
    certificates = [each for name in sorted(names) for each in ledger.certificates(name) if each.deleted_at is None]
    authorities = list(left_behind.authorities(session, left.authorities, fleet=fleet))
    return Inventory(
        fleet=fleet,
        table=left.table,
        certificates=certificates,
        things=[name for name in _marked(iot, fleet) if name in names],
        iot_policies=list(_named(iot, fleet)),
        registrations=[*_registered(authorities), *_external(session, fleet, left)],
        keys=[each.authority.key_arn for each in authorities if each.key_state not in _GOING],
        people=_people(session, fleet),
        table_bytes=dynamodb.describe_table(TableName=left.table)["Table"]["TableSizeBytes"],
    )


_GOING = ("PendingDeletion", "PendingReplicaDeletion", "deleted")


def stack_in_the_way(session: AwsSession, fleet: str) -> str | None:
    """The name of a stack that is still there; None when both are gone. Calls cloudformation:DescribeStacks."""
    client = session.client("cloudformation")
    for stack in (f"{fleet}-Enrollment", f"{fleet}-Trust"):
        try:
            client.describe_stacks(StackName=stack)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError" or "does not exist" not in str(error):
                raise
        else:
            return stack
    return None


def _marked(iot: Any, fleet: str) -> Iterator[str]:
    pages = iot.get_paginator("list_things").paginate(attributeName=THING_MARK, attributeValue=fleet)
    for page in pages:
        yield from (each["thingName"] for each in page["things"])


def _named(iot: Any, fleet: str) -> Iterator[str]:
    """The IoT policies of the fleet's templates: CloudFormation names them after the stack."""
    for page in iot.get_paginator("list_policies").paginate():
        for each in page["policies"]:
            if each["policyName"].startswith(f"{fleet}-Trust-DevicePolicy"):
                yield each["policyName"]


def _registered(authorities: list[LeftAuthority]) -> Iterator[Registration]:
    yield from (each.registration for each in authorities if each.registration is not None)


def _external(session: AwsSession, fleet: str, left: LeftLedger) -> Iterator[Registration]:
    """External CAs that signed devices' certificates. One without the fleet's tag may be another application's, too."""
    for identifier in sorted(left_behind.issued_elsewhere(left)):
        found = left_behind.registration(session, identifier, fleet=fleet)
        if found is not None and found.is_marked:
            yield found


def _people(session: AwsSession, fleet: str) -> dict[str, str]:
    """The managed policies of ``infra/people.py``, by name."""
    ours = (f"{fleet}-Trust-People", f"{fleet}-Trust-OperatorPolicy")
    pages = session.client("iam").get_paginator("list_policies").paginate(Scope="Local")
    return {
        each["PolicyName"]: each["Arn"]
        for page in pages
        for each in page["Policies"]
        if each["PolicyName"].startswith(ours)
    }
