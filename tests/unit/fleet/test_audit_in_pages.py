"""The audit of a large fleet: in pages, in few calls and little memory, and it still finds everything."""

import hashlib
import time
from collections import Counter
from datetime import UTC, datetime
from zlib import crc32

import pytest
from botocore.exceptions import ClientError

from audit.registry import Registry
from audit.survey import Survey
from fleet.aws_session import AwsSession
from ledger import Ledger
from pki.issuers import AMAZON, KMS
from tests.support.aws_faults import Faults
from tests.support.fleet.deployment import enroll

NOW = 1_800_000_000
ARN = "arn:aws:iot:us-east-1:000000000000:cert/"
POLICY = "devices"


def certificate_id(text):
    return hashlib.sha256(text.encode()).hexdigest()


def pages(things, size):
    things = list(things)
    return [things[start : start + size] for start in range(0, len(things), size)]


class Fake:
    """An AWS of one table and one registry that answers in small pages, and counts."""

    def __init__(self):
        self.items = {}
        self.registered = {}  # by id: its status, and when it was made
        self.permitted = []
        self.calls = Counter()
        self.after = {}  # by operation: what happens once, after its first call

    def enroll(self, name, *, state="enrolled", certificate="active", status="ACTIVE", permitted=True, updated_at=NOW):
        each = certificate_id(name)
        key = f"device#{name}"
        if state is not None:
            self.items[key, "device"] = {"state": state, "updated_at": NOW, "issued_by": "c" * 64, "device": name}
        self.items[key, f"certificate#{each}"] = {
            "state": certificate,
            "updated_at": updated_at,
            "device": name,
            "certificate_id": each,
            "issued_by": "c" * 64,
            **dict.fromkeys(("pem", "fingerprint", "serial"), "not looked at"),
            **dict.fromkeys(("not_before", "not_after"), NOW),
        }
        for number in range(3):
            self.items[key, f"event#{number}"] = {"what": "something"}
        self.items[f"key#{name}", "key"] = {"device": name}
        if status is not None:
            self.register(each, status=status, permitted=permitted)
        return each

    def register(self, each, *, status="ACTIVE", permitted=True):
        self.registered[each] = status
        if permitted:
            self.permitted.append(ARN + each)

    # As boto3's clients

    def get_paginator(self, operation):
        fake = self

        class Paginator:
            def paginate(self, **request):
                yield from getattr(fake, operation)(**request)

        return Paginator()

    def _called(self, operation):
        self.calls[operation] += 1
        self.after.pop(operation, lambda: None)()

    def scan(self, **request):
        segments, segment = request["TotalSegments"], request["Segment"]
        keys = sorted(each for each in self.items if crc32(each[0].encode()) % segments == segment)
        for page in pages(keys, 250):  # of items of 4 kB
            yield {
                "Items": [
                    wrapped({"pk": pk, "sk": sk, **self.items[pk, sk]})
                    for pk, sk in page
                    if pk.startswith("device#") and not sk.startswith("event#")
                ]
            }
            self._called("Scan")

    def get_item(self, **request):
        self._called("GetItem")
        key = request["Key"]["pk"]["S"], request["Key"]["sk"]["S"]
        return (
            {"Item": wrapped(dict(zip(("pk", "sk"), key, strict=True)) | self.items[key])} if key in self.items else {}
        )

    def list_certificates(self, **request):
        for page in pages(sorted(self.registered), request["PaginationConfig"]["PageSize"]):
            yield {"certificates": [{"certificateArn": ARN + each, **self._described(each)} for each in page]}
            self._called("ListCertificates")

    def list_targets_for_policy(self, **request):
        for page in pages(self.permitted, request["PaginationConfig"]["PageSize"]):
            yield {"targets": page}
            self._called("ListTargetsForPolicy")

    def describe_certificate(self, **request):
        self._called("DescribeCertificate")
        each = request["certificateId"]
        self._require(ARN + each, "DescribeCertificate")
        return {"certificateDescription": {"certificateArn": ARN + each, **self._described(each)}}

    def list_attached_policies(self, target):
        self._called("ListAttachedPolicies")
        self._require(target, "ListAttachedPolicies")
        return {"policies": [{"policyName": POLICY}] if target in self.permitted else []}

    def list_principal_things(self, principal):
        self._require(principal, "ListPrincipalThings")
        return {"things": []}

    def _require(self, arn, operation):
        if arn.removeprefix(ARN) not in self.registered:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, operation)

    def _described(self, each):
        return {
            "status": self.registered[each],
            "creationDate": datetime.fromtimestamp(NOW - 86_400, UTC),
            "certificatePem": "no PEM",
        }


def wrapped(item):
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()}


def survey(fake, **changes):
    ledger = Ledger(client=fake, table="ledger")
    values = {"iot": fake, "ledger": ledger, "policy": POLICY, "issuer": KMS, "grace_seconds": 100, "now": NOW}
    return Survey(**values | changes)


@pytest.fixture
def fake():
    """A thousand devices, in order."""
    fake = Fake()
    for number in range(1000):
        fake.enroll(f"pi-{number:04}")
    return fake


def test_a_thousand_devices_take_one_call_for_25_of_them_and_no_query_of_one(fake):
    assert list(survey(fake).findings()) == []
    assert set(fake.calls) == {"Scan", "ListCertificates", "ListTargetsForPolicy"}
    assert fake.calls["Scan"] <= 1000 / 25
    assert fake.calls["ListCertificates"] == fake.calls["ListTargetsForPolicy"] == 4


def test_each_kind_of_finding_is_found_wherever_it_is_in_the_pages(fake):
    expected = {
        "missing": fake.enroll("pi-0001a", status=None),
        "switched-off": fake.enroll("pi-0200a", status="INACTIVE"),
        "not-permitted": fake.enroll("pi-0400a", permitted=False),
        "superseded": fake.enroll("pi-0600a", certificate="superseded", updated_at=NOW - 100),
        "should-be-off": fake.enroll("pi-0999a", state="blocked"),
    }
    removed = fake.enroll("pi-0500a", state=None, certificate="deactivated")
    fake.register(unknown := certificate_id("stranger"))
    found = {(each.kind, each.certificate_id) for each in survey(fake).findings()}
    assert found == {*expected.items(), ("should-be-off", removed), ("unknown", unknown)}


def test_what_could_be_unfinished_is_looked_at_where_amazon_signs_alone(fake):
    fake.register(certificate_id("powerless"), permitted=False)
    assert list(survey(fake).findings()) == []
    assert fake.calls["DescribeCertificate"] == 0
    assert list(survey(fake, issuer=AMAZON).findings()) == []
    assert fake.calls["DescribeCertificate"] == 1


@pytest.mark.parametrize("moment", ["ListCertificates", "ListTargetsForPolicy", "Scan"])
def test_devices_that_enroll_or_renew_while_it_runs_are_no_findings(fake, moment):
    def meanwhile():
        for number in range(20):
            fake.enroll(f"new-{number}")
        for name in ("pi-0000", "pi-0999"):
            old = fake.items[f"device#{name}", f"certificate#{certificate_id(name)}"]
            old |= {"state": "superseded", "updated_at": NOW}

    fake.after[moment] = meanwhile
    assert list(survey(fake).findings()) == []


@pytest.mark.parametrize("moment", ["DescribeCertificate", "ListAttachedPolicies"])
@pytest.mark.parametrize("is_permitted", [True, False])
def test_certificates_that_are_deleted_while_it_runs_are_no_findings(fake, moment, is_permitted):
    """As ``verify`` deletes those of its throw-away devices, and whoever tidies up in another system's."""
    of_a_device, stranger = fake.enroll("pi-0300a", permitted=is_permitted, status="INACTIVE"), certificate_id("x")
    fake.register(stranger, permitted=is_permitted)

    def meanwhile():
        for each in (of_a_device, stranger):
            del fake.registered[each]
        fake.items["device#pi-0300a", f"certificate#{of_a_device}"]["state"] = "deactivated"

    fake.after[moment] = meanwhile
    assert list(survey(fake, issuer=AMAZON).findings()) == []


def test_an_error_in_a_thread_ends_the_audit(fake):
    class Broken(Exception):
        pass

    def broken():
        raise Broken

    fake.after["ListTargetsForPolicy"] = broken
    with pytest.raises(Broken):
        list(survey(fake).findings())


def test_a_million_certificates_take_forty_bytes_each():
    registry = Registry()
    empty = sum(map(len, registry._places))
    for number in range(1000):
        registry.add(arn=ARN + certificate_id(str(number)), is_active=True, created=datetime.fromtimestamp(NOW, UTC))
        registry.permit(ARN + certificate_id(str(number)))
    assert sum(map(len, registry._places)) - empty <= 40 * 1000


def test_the_registry_keeps_what_aws_iot_said():
    registry = Registry()
    listed, permitted, only_permitted = map(certificate_id, "abc")
    registry.permit(ARN + permitted)  # either list may come first
    for each, is_active in ((listed, False), (permitted, True)):
        registry.add(arn=ARN + each, is_active=is_active, created=datetime.fromtimestamp(NOW, UTC))
    registry.permit(ARN + only_permitted)
    registry.permit("arn:aws:iot:us-east-1:000000000000:thinggroup/all")
    assert registry.recognize(only_permitted) is None
    assert registry.recognize("0" * 64) is None
    (stranger,) = (each for each in registry.strangers() if each.certificate_id == permitted)
    assert (stranger.arn, stranger.is_active, stranger.is_permitted, stranger.created_at) == (
        *(ARN + permitted, True, True, NOW),
    )
    known = registry.recognize(listed)
    assert (known.is_active, known.is_permitted) == (False, False)
    assert [each.certificate_id for each in registry.strangers()] == [permitted]


@pytest.mark.parametrize("operation", ["Scan", "ListCertificates"])
def test_a_page_that_aws_throttles_does_not_end_it(cloud, operation, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the SDK's tries
    enroll(cloud)
    session = AwsSession(profile=None, region=None).patient()
    clients = {service: session.client(service) for service in ("iot", "dynamodb")}
    assert all(each.meta.config.retries["mode"] == "adaptive" for each in clients.values())
    faults = Faults(operation=operation, kind="throttled")
    faults.watch(*clients.values())
    ledger = Ledger(client=clients["dynamodb"], table=cloud.table)
    found = survey(cloud, iot=clients["iot"], ledger=ledger, policy=cloud.policy, now=int(time.time())).findings()
    # Other tests' certificates are strangers, without this fleet's policy.
    assert list(found) == []
    assert faults.fired
