"""A deployment is changed under a fleet at work: a refused change, a CA rotated in KMS, another issuer, its end.

With the real commands, and devices that publish all the while. In a sandbox of its own: CAs are not taken back, and
nothing here may touch the sandbox of the other tests.
"""

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from pki.fingerprint import certificate_id
from sandbox import lifecycle
from sandbox.addresses import REPOSITORY, Addresses
from sandbox.deployment import CDK, THING_GROUP
from sandbox.errors import SandboxError
from tests.support.cloud import domain
from tests.support.cloud.commands import Command, RaspberryPi, operator, until
from tests.support.cloud.domain import WayToDomain
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.running_sandbox import start_sandbox
from tests.support.cloud.watcher import Watcher
from tests.support.ports import free_ports

OLD = {"name": "2026", "commonName": "the old CA", "organization": "Acme", "validityYears": 20}
NEW = OLD | {"name": "2027", "commonName": "the new CA"}

DAY = 86_400
ACCESS_LOG = "/aws/vendedlogs/zymkey"


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    gateway, https, mqtt = free_ports(3)
    own = Addresses(gateway_port=gateway, https_port=https, mqtt_port=mqtt, directory=tmp_path / "sandbox")
    yield own
    lifecycle.stop(own, print)


@pytest.fixture
def way(addresses: Addresses) -> Iterator[WayToDomain]:
    with WayToDomain(addresses) as proxy:
        yield proxy


class Fleet:
    """One deployment after the other, in the same account; ``listed`` is what `list` showed last, before the end."""

    listed: list[dict[str, Any]]

    def __init__(self, addresses: Addresses, folder: Path, way: WayToDomain) -> None:
        self._addresses = addresses
        self._folder = folder
        self.way = way

    def deploy(self, *authorities: dict[str, Any], issuer: str = "kms", **more: Any) -> None:
        """``more`` are further settings of cdk.json."""
        settings = {name: json.dumps(value) for name, value in {"certificateAuthorities": authorities, **more}.items()}
        self.sandbox = start_sandbox(self._addresses, issuer, settings=settings)
        self.cloud = Cloud(self.sandbox)
        self.zymkey_fleet = operator(self.sandbox.env)

    def destroy(self) -> None:
        """`cdk destroy` of both stacks, which are protected from it."""
        folder = self._addresses.directory
        cloudformation = self.sandbox.boto("cloudformation")
        for stack in ("zymkey-Enrollment", "zymkey-Trust"):
            with pytest.raises(ClientError, match="TerminationProtection is enabled"):
                cloudformation.delete_stack(StackName=stack)
            cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
        done = subprocess.run(
            [CDK, "destroy", "--all", "--force", "--output", folder / "cdk.out", "-c", "zymkey-fleet.bundleFor=host"],
            cwd=REPOSITORY,
            env=self.sandbox.env | {"CDK_HOME": str(folder / "cdk"), "VIRTUAL_ENV": sys.prefix},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def what_cdk_said(self) -> str:
        """The last deployment's log, without the line breaks that the command line puts into sentences."""
        return " ".join((self._addresses.directory / "deploy.log").read_text(errors="replace").split())

    def new_device(self) -> RaspberryPi:
        name = new_name()
        pi = RaspberryPi(name, self.sandbox.env | self.way.environment, self._folder / name)
        token = self.zymkey_fleet("invite", name, "--json").json["token"]
        pi.zymkey_iot("bootstrap", "--mqtt", ZYMKEY_IOT_TOKEN=token)
        return pi

    def authorities(self) -> dict[str, x509.Certificate]:
        """What `cacerts` shows, by common name."""
        shown = self.cloud.get("/.well-known/est/cacerts").content
        return {common_name(each.subject): each for each in pkcs7.load_der_pkcs7_certificates(base64.b64decode(shown))}

    def registered(self) -> dict[str, str]:
        """Every CA that AWS IoT knows: id → status."""
        return {each["certificateId"]: each["status"] for each in self.cloud.iot.list_ca_certificates()["certificates"]}

    def tags(self) -> dict[str, str]:
        """Of the Enrollment stack, as CloudFormation has them."""
        (stack,) = self.sandbox.boto("cloudformation").describe_stacks(StackName="zymkey-Enrollment")["Stacks"]
        return {each["Key"]: each["Value"] for each in stack.get("Tags", [])}

    def log_groups(self) -> set[str]:
        pages = self.sandbox.boto("logs").get_paginator("describe_log_groups").paginate()
        return {each["logGroupName"] for page in pages for each in page["logGroups"]}

    def watched(self, *devices: RaspberryPi) -> Watcher:
        """From the beginning of its block on, devices that should always have a certificate that works."""
        watcher = Watcher(self.cloud.iot, self.cloud.ledger, self.cloud.outputs["IotPolicy"])
        for each in devices:
            watcher.expect(each)
        return watcher

    def age(self, pi: RaspberryPi, item: str, **times: int) -> None:
        """Nobody waits until a certificate is old: the ledger remembers it so."""
        self.sandbox.boto("dynamodb").update_item(
            TableName=self.sandbox.outputs["LedgerTable"],
            Key={"pk": {"S": f"device#{pi.name}"}, "sk": {"S": item}},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in times),
            ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in times.items()},
        )

    def run(self, entry: str) -> Any:
        """What a schedule does: ``superseded`` every hour, ``audit`` every day. Returns what the function does."""
        functions = self.sandbox.boto("lambda")
        (name,) = (
            each["FunctionName"]
            for each in functions.list_functions()["Functions"]
            if each["Handler"] == f"functions.handlers.{entry}.handler"
        )
        done = functions.invoke(FunctionName=name, Payload=b"{}")
        answer = done["Payload"].read()
        assert "FunctionError" not in done, answer
        return json.loads(answer)

    def last_audit(self, *, code: int = 1) -> tuple[int, list[tuple[str, str | None]]]:
        """How many certificates the daily audit has deleted, and what it has found: kind and device."""
        last = self.zymkey_fleet("audit", "--last", "--json", code=code).json
        assert last["complete"]
        return last["deleted"], [(each["kind"], each["device"]) for each in last["findings"]]


def common_name(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def issuer_of(pi: RaspberryPi) -> str:
    return common_name(x509.load_pem_x509_certificate(pi.certificate_pem).issuer)


def assert_all_work(devices: Sequence[RaspberryPi]) -> None:
    for pi in devices:
        pi.zymkey_iot("publish", "devices/{device}/t", "1")
        pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")


def test_a_fleet_at_work_outlives_a_refused_change_a_rotated_ca_another_issuer_and_the_stacks_themselves(
    addresses: Addresses, tmp_path: Path, way: WayToDomain
) -> None:
    fleet = Fleet(addresses, tmp_path, way)
    fleet.deploy(OLD)
    fleet.cloud.iot.create_thing_group(thingGroupName=THING_GROUP)
    veteran = fleet.new_device()
    assert issuer_of(veteran) == "the old CA"

    another_ca_under_the_same_name_is_refused_and_taken_back(fleet, veteran)
    the_next_step_is(fleet, "successor")
    newcomer = a_second_ca_issues_from_now_on(fleet, veteran)
    mqtt_without_a_thing_is_refused(fleet)
    with fleet.watched(veteran, newcomer) as watcher:
        the_first_one_is_retired_once_no_device_stands_on_it(fleet, veteran, newcomer)
        devices = [veteran, newcomer, it_stays_retired_by_the_setting(fleet, veteran)]
        what_drifts_is_found_by_the_daily_audit(fleet, newcomer)
        its_key_goes_and_nothing_is_left_of_the_rotation(fleet)
        assert_all_work(devices)
    assert (watcher.problems, watcher.looks > 5) == ([], True)
    mqtt_without_a_thing_is_refused(fleet)
    alarms_of_both_stacks_reach_the_address(fleet)
    what_the_fleet_did_is_counted_in_its_logs(fleet)
    devices.append(another_issuer_and_a_domain_change_nothing_for_devices_that_are_in(fleet, devices))
    takes_up_the_domain(newcomer)
    destroying_takes_nothing_away(fleet, devices)
    adopt = another_deployment_takes_over_what_is_left(fleet, devices, tmp_path)
    with_amazons_issuer_too_and_changed_topics_reach_the_adopted_policy(fleet, devices, adopt)
    in_the_end_all_of_it_goes(fleet, tmp_path)


def another_ca_under_the_same_name_is_refused_and_taken_back(fleet: Fleet, veteran: RaspberryPi) -> None:
    before = fleet.authorities(), fleet.registered()

    with pytest.raises(SandboxError):
        fleet.deploy(OLD | {"commonName": "another CA"})

    assert "cannot become CN=another CA,O=Acme" in fleet.what_cdk_said()
    assert "add another after it, under a new name" in fleet.what_cdk_said()
    assert (fleet.authorities(), fleet.registered()) == before
    assert_all_work([veteran])


def a_second_ca_issues_from_now_on(fleet: Fleet, veteran: RaspberryPi) -> RaspberryPi:
    """To the device in the field nothing happens. Returns one that is new."""
    certificate = veteran.certificate_pem
    assert "is the newest, which issues" in fleet.zymkey_fleet("ca", "retire", "2026", code=1).err

    fleet.deploy(OLD, NEW, mqttWithoutThing="try")

    old_ca, new_ca = (fleet.authorities()[name] for name in ("the old CA", "the new CA"))
    assert set(fleet.authorities()) == {"the old CA", "the new CA"}
    assert fleet.registered() == {certificate_id(old_ca): "ACTIVE", certificate_id(new_ca): "ACTIVE"}
    shutil.rmtree(veteran.state)
    veteran.zymkey_iot("bootstrap")
    assert veteran.certificate_pem == certificate
    newcomer = fleet.new_device()
    x509.load_pem_x509_certificate(newcomer.certificate_pem).verify_directly_issued_by(new_ca)
    assert_all_work([veteran, newcomer])
    return newcomer


def the_next_step_is(fleet: Fleet, *steps: str, of: str = "2026") -> dict[str, Any]:
    """What `ca rotate` says can be done now; returns all that it says. None: the rotation is done."""
    said: dict[str, Any] = fleet.zymkey_fleet("ca", "rotate", of, "--json", code=1 if steps else 0).json
    assert [each["id"] for each in said["steps"] if each["state"] == "now"] == list(steps)
    assert said["done"] is not bool(steps)
    return said


def its_key_goes_and_nothing_is_left_of_the_rotation(fleet: Fleet) -> None:
    """An administrator types what is printed."""
    said = the_next_step_is(fleet, "key")
    (command,) = said["steps"][-1]["type"]
    words = command.split()
    assert words[:4] == ["aws", "kms", "schedule-key-deletion", "--key-id"]
    fleet.sandbox.boto("kms").schedule_key_deletion(KeyId=words[4], PendingWindowInDays=30)
    the_next_step_is(fleet)
    assert "Nothing is left to do." in fleet.zymkey_fleet("ca", "rotate").out


def mqtt_without_a_thing_is_refused(fleet: Fleet) -> None:
    """To one throw-away device while the setting is ``try``, to all with ``deny``; HTTPS is left alone."""
    observed = fleet.zymkey_fleet("verify", "--json").json["observations"]
    assert (observed["mqttWithoutThing"], observed["mqttWithoutThingCanBeDenied"]) == ("refused", True)


def the_first_one_is_retired_once_no_device_stands_on_it(
    fleet: Fleet, veteran: RaspberryPi, newcomer: RaspberryPi
) -> None:
    old_ca, old_id = certificate_id(fleet.authorities()["the old CA"]), veteran.certificate_id
    refused = fleet.zymkey_fleet("ca", "retire", "2026", code=1).err
    assert f"still held by {veteran.name}." in refused
    assert fleet.registered()[old_ca] == "ACTIVE"

    # Renewals bring everybody over; what they leave behind is switched off once the new certificate was seen in use.
    left = the_next_step_is(fleet, "devices")["left"]
    assert (left["devices"], left["current"]) == (1, 1)
    asked = fleet.zymkey_fleet("renew", "--state", "enrolled", "--issued-by", "2026", "--yes", "--json").json
    assert [each["name"] for each in asked] == [veteran.name]
    assert "Renewed" in veteran.zymkey_iot("renew").out
    assert issuer_of(veteran) == "the new CA"
    until(lambda: fleet.cloud.certificates_of(veteran.name)[old_id] == "INACTIVE")
    fleet.run("superseded")
    assert fleet.cloud.certificates_of(veteran.name) == {old_id: "INACTIVE", veteran.certificate_id: "ACTIVE"}
    a_month_later_it_is_gone(fleet, veteran, old_id)

    # Retired: AWS IoT takes nothing of it any more, and the fleet works on.
    the_next_step_is(fleet, "retire")
    retired = fleet.zymkey_fleet("ca", "retire", "2026", "--json").json
    setting = {"certificateAuthorities": [{"name": "2026", "retired": True}]}
    assert retired == {"name": "2026", "certificateIds": [old_ca], "retired": True, "setting": setting}
    assert fleet.registered()[old_ca] == "INACTIVE"
    assert the_next_step_is(fleet, "setting")["steps"][3]["setting"] == setting
    assert_all_work([veteran, newcomer, fleet.new_device()])
    (undeclared,) = fleet.zymkey_fleet("audit", "--json", code=1).json
    assert (undeclared["kind"], undeclared["certificateId"]) == ("ca-status", old_ca)


def a_month_later_it_is_gone(fleet: Fleet, pi: RaspberryPi, old_id: str) -> None:
    """From AWS IoT, by the daily audit; the ledger remembers it."""
    fleet.age(pi, f"certificate#{old_id}", updated_at=int(time.time()) - 31 * DAY)
    assert fleet.run("audit") == {}
    assert fleet.last_audit(code=0) == (1, [])
    assert fleet.cloud.certificates_of(pi.name) == {pi.certificate_id: "ACTIVE"}
    shown = fleet.zymkey_fleet("show", pi.name, "--json").json["certificates"]
    assert {each["certificateId"]: bool(each["deleted"]) for each in shown} == {old_id: True, pi.certificate_id: False}


def what_drifts_is_found_by_the_daily_audit(fleet: Fleet, pi: RaspberryPi) -> None:
    """Somebody works by hand on the policy, a thing, and (in KMS) with the CA's key; and takes it back."""
    iot, policy = fleet.cloud.iot, fleet.cloud.outputs["IotPolicy"]
    before = iot.get_policy(policyName=policy)
    document = json.loads(before["policyDocument"])
    document["Statement"][0]["Sid"] = "Changed"
    changed = iot.create_policy_version(policyName=policy, policyDocument=json.dumps(document), setAsDefault=True)
    mark = iot.describe_thing(thingName=pi.name)["attributes"]
    another = {"attributes": dict.fromkeys(mark, "another"), "merge": True}
    iot.update_thing(thingName=pi.name, attributePayload=another)
    expected: dict[str, int] = {"policy-drifted": 1, "thing-foreign": 1}
    in_kms = fleet.cloud.outputs["Issuer"] == "kms"
    if in_kms:
        fleet.cloud.ledger.count_signature(certificate_id(fleet.authorities()["the new CA"]))
        expected["unrecorded-signatures"] = 1

    assert fleet.run("audit") == expected
    told = [("policy-drifted", None), ("thing-foreign", pi.name), *([("unrecorded-signatures", None)] * in_kms)]
    assert fleet.last_audit() == (0, told)

    iot.set_default_policy_version(policyName=policy, policyVersionId=before["defaultVersionId"])
    iot.delete_policy_version(policyName=policy, policyVersionId=changed["policyVersionId"])
    iot.update_thing(thingName=pi.name, attributePayload={"attributes": mark, "merge": True})
    assert fleet.run("audit") == {}
    assert fleet.zymkey_fleet("audit", "--json").json == []


def it_stays_retired_by_the_setting(fleet: Fleet, veteran: RaspberryPi) -> RaspberryPi:
    """This deployment updates the registration, whose handler sends the status. Returns a device that is new then.

    It also has what an account with rules of its own demands; the deployment after it has it no more.
    """
    before = fleet.registered()
    rules: dict[str, Any] = {"accessLogGroup": ACCESS_LOG, "tags": {"team": "plant"}, "reservedConcurrency": 20}

    fleet.deploy(OLD | {"retired": True}, NEW, alarmEmail="ops@example.com", mqttWithoutThing="deny", **rules)

    assert fleet.tags() == {"team": "plant"}
    assert ACCESS_LOG in fleet.log_groups()
    assert set(fleet.authorities()) == {"the new CA"}
    assert fleet.registered() == before
    assert fleet.zymkey_fleet("audit", "--json").json == []
    latest = fleet.new_device()
    assert issuer_of(latest) == "the new CA"
    veteran.zymkey_iot("bootstrap", "--mqtt")
    assert "is the newest, which issues" in fleet.zymkey_fleet("ca", "retire", "2027", code=1).err
    return latest


def alarms_of_both_stacks_reach_the_address(fleet: Fleet) -> None:
    """A queue stands for the mail: nobody can open the link of the confirmation here."""
    sns, sqs, cloudwatch = (fleet.sandbox.boto(service) for service in ("sns", "sqs", "cloudwatch"))
    (topic,) = [each["TopicArn"] for each in sns.list_topics()["Topics"]]
    (mail,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (mail["Protocol"], mail["Endpoint"]) == ("email", "ops@example.com")
    queue = sqs.create_queue(QueueName="instead-of-mail")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sends = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sends | {"Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    alarms = [each["AlarmName"] for each in cloudwatch.describe_alarms()["MetricAlarms"]]
    assert {each.rsplit("-", 2)[0] for each in alarms if each.startswith("zymkey-")} == {
        "zymkey-Trust",
        "zymkey-Enrollment",
    }
    for part, heading in (("MonitoringFailed", "failed"), ("KeyWatchCaKey", "cakey")):
        (alarm,) = [each for each in alarms if part in each]
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        told = json.loads(json.loads(message["Body"])["Message"])
        assert (told["AlarmName"], told["NewStateValue"]) == (alarm, "ALARM")
        assert told["AlarmDescription"].endswith(f" docs/runbook.md#{heading}")


def what_the_fleet_did_is_counted_in_its_logs(fleet: Fleet) -> None:
    """In lines that CloudWatch makes metrics of, of the functions as they are deployed."""
    resources = fleet.sandbox.boto("cloudformation").describe_stack_resources(StackName="zymkey-Enrollment")
    groups = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in resources["StackResources"]
        if each["ResourceType"] == "AWS::Logs::LogGroup"
    }
    counted = set()
    for name, group in groups.items():
        if name.startswith(("Audit", "Enroll", "Superseded")):  # as in docs/runbook.md
            pages = fleet.sandbox.boto("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
            lines = (event["message"] for page in pages for event in page["events"])
            for document in (json.loads(line) for line in lines if '"_aws"' in line):
                assert document["Fleet"] == "zymkey"
                (directive,) = document["_aws"]["CloudWatchMetrics"]
                counted |= {each["Name"] for each in directive["Metrics"]}
    assert counted >= {"Enrolled", "Renewed", "ExpiringWithin30Days", "Expired", "AuditFindings"}


def another_issuer_and_a_domain_change_nothing_for_devices_that_are_in(
    fleet: Fleet, devices: Sequence[RaspberryPi]
) -> RaspberryPi:
    """Same API, same ledger, same policy; the CAs stay registered. Returns a device that Amazon's CA certifies."""
    outputs, registered, certificates = fleet.cloud.outputs, fleet.registered(), {pi.certificate_pem for pi in devices}

    fleet.deploy(NEW, issuer="aws", domain=domain.SETTING, mqttWithoutThing="deny")

    new = {"Issuer": "aws", "EnrollmentUrl": domain.URL}
    new |= {name: fleet.cloud.outputs[name] for name in ("DomainTarget", "Declared")}
    assert fleet.cloud.outputs == {**outputs, **new}
    assert fleet.registered() == registered
    assert fleet.tags() == {}
    assert ACCESS_LOG not in fleet.log_groups()
    for pi in devices:
        shutil.rmtree(pi.state)
        pi.zymkey_iot("bootstrap")
    assert {pi.certificate_pem for pi in devices} == certificates
    amazons = fleet.new_device()
    assert issuer_of(amazons) not in ("the old CA", "the new CA")
    assert_all_work([*devices, amazons])
    what_amazon_s_ca_has_renewed_leaves_aws_iot_too(fleet, amazons)
    return amazons


def what_amazon_s_ca_has_renewed_leaves_aws_iot_too(fleet: Fleet, pi: RaspberryPi) -> None:
    old_id = pi.certificate_id
    fleet.zymkey_fleet("renew", pi.name)
    assert "Renewed" in pi.zymkey_iot("renew").out
    until(lambda: fleet.cloud.certificates_of(pi.name)[old_id] == "INACTIVE")
    a_month_later_it_is_gone(fleet, pi, old_id)
    what_drifts_is_found_by_the_daily_audit(fleet, pi)
    assert_all_work([pi])


def takes_up_the_domain(pi: RaspberryPi) -> None:
    """As every device does at its next renewal. The sandbox's own variable, which would win, is gone from then on."""
    environment = {name: value for name, value in pi.zymkey_iot.environment.items() if name != "ENROLLMENT_URL"}
    pi.zymkey_iot = Command("zymkey-iot", environment)
    before = pi.zymkey_iot("status", "--json").json["url"]
    pi.zymkey_iot("renew", code=13)
    now = pi.zymkey_iot("status", "--json").json
    assert (now["url"], now["fallbackUrl"]) == (domain.URL, before)


def the_domain_leads_to_the_new_deployment(fleet: Fleet, pi: RaspberryPi) -> None:
    """Nobody tells the device anything, and the API that it was bootstrapped with is gone."""
    before = pi.zymkey_iot("status", "--json").json
    assert before["url"] == domain.URL
    assert before["fallbackUrl"] != fleet.sandbox.url
    asked = fleet.way.asked
    renews(fleet, pi)
    assert fleet.way.asked > asked
    assert pi.zymkey_iot("status", "--json").json["url"] == domain.URL


def destroying_takes_nothing_away(fleet: Fleet, devices: Sequence[RaspberryPi]) -> None:
    """It gets stuck on nothing, and policy, certificates, CAs and ledger are kept."""
    registered = fleet.registered()

    fleet.listed = fleet.zymkey_fleet("list", "--json").json
    fleet.destroy()

    assert fleet.registered() == registered
    for pi in devices:
        assert fleet.cloud.certificates_of(pi.name)[pi.certificate_id] == "ACTIVE"
        assert fleet.cloud.policies_of(pi.certificate_id) == [fleet.cloud.outputs["IotPolicy"]]
        device = fleet.cloud.ledger.device(pi.name)
        assert device is not None
        assert (device.state, device.certificate_id) == ("enrolled", pi.certificate_id)
    assert_all_work(devices)


def another_deployment_takes_over_what_is_left(
    fleet: Fleet, devices: Sequence[RaspberryPi], folder: Path
) -> dict[str, Any]:
    """By the setting that `zymkey-fleet adopt` writes and this returns. Devices are told the new URL; one renews."""
    before, registered, listed = fleet.cloud.outputs, fleet.registered(), fleet.listed
    adopt = written_by_adopt(fleet, folder)
    key = adopt["certificateAuthorities"]["2027"]
    assert adopt == {
        "ledgerTable": before["LedgerTable"],
        "iotPolicy": before["IotPolicy"],
        "certificateAuthorities": {"2027": key},
    }

    fleet.deploy(NEW, adopt=adopt, domain=domain.SETTING)

    same = ("LedgerTable", "IotPolicy", "Fleet")
    assert {name: fleet.cloud.outputs[name] for name in same} == {name: before[name] for name in same}
    assert fleet.registered() == registered
    assert set(fleet.authorities()) == {"the new CA"}
    assert certificate_id(fleet.authorities()["the new CA"]) in registered
    assert fleet.zymkey_fleet("list", "--json").json == listed
    the_domain_leads_to_the_new_deployment(fleet, devices[1])
    for pi in devices:
        told_the_new_url(fleet, pi)
    assert_all_work(devices)
    renews(fleet, devices[0])
    assert issuer_of(devices[0]) == "the new CA"
    assert issuer_of(fleet.new_device()) == "the new CA"
    assert fleet.zymkey_fleet("audit", "--json").json == []
    return adopt


def with_amazons_issuer_too_and_changed_topics_reach_the_adopted_policy(
    fleet: Fleet, devices: Sequence[RaspberryPi], adopt: dict[str, Any]
) -> None:
    registered = fleet.registered()
    topics = ["plant/{device}/*", "devices/{device}/*"]
    devices[0].zymkey_iot("publish", "plant/{device}/t", "1", code=10)

    fleet.deploy(NEW, issuer="aws", adopt=adopt, domain=domain.SETTING, topics={"publish": topics, "subscribe": topics})

    assert fleet.registered() == registered
    assert fleet.cloud.outputs["IotPolicy"] == adopt["iotPolicy"]
    for pi in devices:
        told_the_new_url(fleet, pi)
    renews(fleet, devices[-1])
    for pi in devices:
        pi.zymkey_iot("publish", "plant/{device}/t", "1")
    assert {each["name"] for each in fleet.zymkey_fleet("list", "--json").json} >= {pi.name for pi in devices}
    assert fleet.zymkey_fleet("audit", "--json").json == []


def in_the_end_all_of_it_goes(fleet: Fleet, folder: Path) -> None:
    """The ledger is an adopted one, two CAs and Amazon have signed, and an operator still holds a policy."""
    purge = Command("zymkey-fleet", fleet.sandbox.env)
    dynamodb, iot, iam = (fleet.sandbox.boto(each) for each in ("dynamodb", "iot", "iam"))
    stranger = iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
    assert "is deployed" in purge("purge", "--dry-run", code=1).err
    fleet.destroy()
    found = purge("purge", "--dry-run", "--json").json["found"]
    assert (found["things"], found["table"]) == (len(fleet.listed) + 1, fleet.cloud.outputs["LedgerTable"])
    # Users of the sandbox's operator, who is a person of this fleet.
    held = [each["UserName"] for each in iam.list_users()["Users"]]
    kept = purge("purge", "--confirm", "zymkey", "--backup", folder / "last.jsonl", "--json", code=1).json["kept"]
    assert any(name in reason for name in held for reason in kept), kept

    for user in held:
        for each in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=user, PolicyArn=each["PolicyArn"])
    purge("purge", "--confirm", "zymkey", "--no-backup")

    assert dynamodb.list_tables()["TableNames"] == []
    assert [each["certificateId"] for each in iot.list_certificates()["certificates"]] == [stranger]
    assert iot.list_things()["things"] == []
    assert iot.list_policies()["policies"] == []
    assert iot.list_ca_certificates()["certificates"] == []
    assert [each for each in iam.list_policies(Scope="Local")["Policies"] if "zymkey-Trust" in each["PolicyName"]] == []


def written_by_adopt(fleet: Fleet, folder: Path) -> dict[str, Any]:
    """What an administrator's `zymkey-fleet adopt --write` puts into cdk.json."""
    whole = json.loads((REPOSITORY / "cdk.json").read_text())
    whole["context"]["zymkey-fleet"]["certificateAuthorities"] = [NEW]
    (folder / "cdk.json").write_text(json.dumps(whole, indent=2))
    with chdir(folder):
        Command("zymkey-fleet", fleet.sandbox.env)("adopt", "--write")
    adopt: dict[str, Any] = json.loads((folder / "cdk.json").read_text())["context"]["zymkey-fleet"]["adopt"]
    return adopt


def told_the_new_url(fleet: Fleet, pi: RaspberryPi) -> None:
    """As a person does it on the device. The sandbox's own variable, which would win, is gone from then on."""
    certificate = pi.certificate_pem
    environment = {name: value for name, value in pi.zymkey_iot.environment.items() if name != "ENROLLMENT_URL"}
    pi.zymkey_iot = Command("zymkey-iot", environment)
    pi.zymkey_iot("bootstrap", fleet.sandbox.url)
    assert pi.certificate_pem == certificate


def renews(fleet: Fleet, pi: RaspberryPi) -> None:
    old = pi.certificate_id
    certificate = fleet.cloud.ledger.certificate(pi.name, old)
    assert certificate is not None
    now = int(time.time())
    fleet.age(pi, f"certificate#{old}", not_before=now - 3 * (certificate.not_after - now))
    assert "Renewed" in pi.zymkey_iot("renew").out
    assert pi.certificate_id != old
    assert_all_work([pi])
