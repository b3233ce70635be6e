"""How what a destroyed deployment left goes. Each step done twice is done once; what stays is said, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from audit.deletion import StillActive, StillAttached, delete
from fleet.aws_session import AwsSession
from fleet.departure import delete_shadows
from fleet.left_behind import Registration
from fleet.purge.inventory import Inventory
from ledger import THING_MARK, Certificate

# Seconds before AWS IoT is asked again whether it has noticed that something was detached: seconds for a certificate,
# up to five minutes for a policy (AWS IoT API reference, DetachPolicy; developer guide, "Delete a policy").
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)


@dataclass
class Removed:
    """How many of each kind went, and why others stayed, in words."""

    counts: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def one(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1


class Kept(Exception):
    """It stays; the reason in words."""


@dataclass(frozen=True)
class Purge:
    """Removes an inventory.

    Attributes:
        window_days: how long KMS keeps a key whose deletion is scheduled (AWS KMS API reference, ScheduleKeyDeletion).
        advanced: is told of each piece, for a person who waits.
        sleep: in seconds.
    """

    session: AwsSession
    inventory: Inventory
    window_days: int
    advanced: Callable[[int], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> Removed:
        """Remove everything; the ledger only when nothing stays that it is the list of."""
        removed = Removed()
        for kind, remove in self._steps():
            try:
                self._patiently(remove)
                removed.one(kind)
            except Kept as reason:
                removed.kept.append(str(reason))
            self.advanced(1)
        if removed.kept:
            removed.kept.append(f"the ledger {self.inventory.table}: the same command finds by it what stayed")
        else:
            self._table()
            removed.one("tables")
        return removed

    def _steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """In their order: what gives devices power first, and CAs after the certificates that they have signed."""
        inventory = self.inventory
        yield from (("certificates", partial(self._certificate, each)) for each in inventory.certificates)
        yield from (("things", partial(self._thing, each)) for each in inventory.things)
        yield from (("iotPolicies", partial(self._iot_policy, each)) for each in inventory.iot_policies)
        yield from (("caRegistrations", partial(self._registration, each)) for each in inventory.registrations)
        yield from (("keys", partial(self._key, each)) for each in inventory.keys)
        yield from (("managedPolicies", partial(self._managed_policy, *each)) for each in inventory.people.items())

    def _patiently(self, work: Callable[[], None]) -> None:
        """Do it, again and again while AWS IoT has not noticed what was detached."""
        for pause in PAUSES:
            try:
                return work()
            except StillAttached:
                self.sleep(pause)
        try:
            work()
        except StillAttached as error:
            raise Kept(f"{error}: AWS IoT has not noticed yet that it was detached; run the command again") from None

    def _certificate(self, certificate: Certificate) -> None:
        iot = self._iot
        try:
            delete(certificate.certificate_id, iot=iot)
        except StillActive:
            iot.update_certificate(certificateId=certificate.certificate_id, newStatus="INACTIVE")
            delete(certificate.certificate_id, iot=iot)

    def _thing(self, name: str) -> None:
        iot = self._iot
        try:
            thing = iot.describe_thing(thingName=name)
        except iot.exceptions.ResourceNotFoundException:
            return
        if thing.get("attributes", {}).get(THING_MARK) != self.inventory.fleet:
            raise Kept(f"the thing {name}: it is not of this fleet any more")
        pages = iot.get_paginator("list_thing_principals").paginate(thingName=name)
        principals = [each for page in pages for each in page["principals"]]
        if principals and not self._are_ours(principals):
            raise Kept(f"the thing {name}: {principals[0]} is attached to it, which the ledger does not know")
        delete_shadows(name, self.session.client("iot-data"))
        try:
            iot.delete_thing(thingName=name)
        except iot.exceptions.InvalidRequestException:  # "still attached to one or more principals"
            raise StillAttached(f"the thing {name}") from None

    def _are_ours(self, principals: list[str]) -> bool:
        """AWS IoT may list for some seconds what was detached when its certificate was deleted."""
        ours = {each.certificate_id for each in self.inventory.certificates}
        return all(each.rpartition("/")[2] in ours for each in principals)

    def _iot_policy(self, name: str) -> None:
        iot = self._iot
        for page in iot.get_paginator("list_targets_for_policy").paginate(policyName=name):
            for target in page["targets"]:
                iot.detach_policy(policyName=name, target=target)
        for version in iot.list_policy_versions(policyName=name)["policyVersions"]:
            if not version["isDefaultVersion"]:
                iot.delete_policy_version(policyName=name, policyVersionId=version["versionId"])
        try:
            iot.delete_policy(policyName=name)
        except iot.exceptions.DeleteConflictException:
            raise StillAttached(f"the IoT policy {name}") from None

    def _registration(self, registration: Registration) -> None:
        iot = self._iot
        iot.update_ca_certificate(certificateId=registration.certificate_id, newStatus="INACTIVE")
        iot.delete_ca_certificate(certificateId=registration.certificate_id)

    def _key(self, arn: str) -> None:
        kms = self.session.client("kms")
        try:
            kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=self.window_days)
        except kms.exceptions.KMSInvalidStateException:  # it is scheduled already
            return

    def _managed_policy(self, name: str, arn: str) -> None:
        iam = self.session.client("iam")
        held = iam.list_entities_for_policy(PolicyArn=arn)
        holders = [
            *(each["RoleName"] for each in held["PolicyRoles"]),
            *(each["UserName"] for each in held["PolicyUsers"]),
            *(each["GroupName"] for each in held["PolicyGroups"]),
        ]
        if holders:
            raise Kept(f"the managed policy {name}: {', '.join(sorted(holders))} hold it; detach it, and run it again")
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=arn)

    def _table(self) -> None:
        client, table = self.session.client("dynamodb"), self.inventory.table
        client.update_table(TableName=table, DeletionProtectionEnabled=False)
        client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        client.delete_table(TableName=table)

    @property
    def _iot(self) -> Any:
        return self.session.client("iot")
