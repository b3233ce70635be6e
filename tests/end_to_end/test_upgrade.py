"""A deployment of the first release is updated to this one, with a device in the field that still runs that release.

In a sandbox of its own. What must not change is whatever holds state, and whatever a device has been told.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ledger import Turns
from sandbox import lifecycle
from sandbox.addresses import Addresses
from sandbox.errors import SandboxError
from tests.support.cloud.commands import Command, RaspberryPi, operator, until
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.running_sandbox import RunningSandbox, start_sandbox
from tests.support.ports import free_ports
from tests.support.release import FIRST_RELEASE, sources_of

# Which resources hold state or are known to devices and people by their id.
STATEFUL = {
    *("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::IoT::CACertificate", "AWS::IoT::Policy"),
    *("Custom::CertificateAuthority", "AWS::IAM::ManagedPolicy", "AWS::ApiGatewayV2::Api"),
}


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = sources_of(FIRST_RELEASE, tmp_path_factory.mktemp("release"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    gateway, https, mqtt = free_ports(3)
    own = Addresses(gateway_port=gateway, https_port=https, mqtt_port=mqtt, directory=tmp_path / "sandbox")
    yield own
    lifecycle.stop(own, print)


def stateful_resources(sandbox: RunningSandbox) -> dict[str, str]:
    """Logical id and type → physical id."""
    cloudformation = sandbox.boto("cloudformation")
    return {
        f"{each['LogicalResourceId']} ({each['ResourceType']})": each["PhysicalResourceId"]
        for stack in ("zymkey-Trust", "zymkey-Enrollment")
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] in STATEFUL
    }


def make_due(cloud: Cloud, pi: RaspberryPi, sandbox: RunningSandbox) -> None:
    """Let the ledger remember the certificate as older than two thirds of its life, so that the next request renews."""
    certificate = cloud.ledger.certificate(pi.name, pi.certificate_id)
    assert certificate is not None
    now = int(time.time())
    sandbox.boto("dynamodb").update_item(
        TableName=sandbox.outputs["LedgerTable"],
        Key={"pk": {"S": f"device#{pi.name}"}, "sk": {"S": f"certificate#{pi.certificate_id}"}},
        UpdateExpression="SET not_before = :then",
        ExpressionAttributeValues={":then": {"N": str(now - 3 * (certificate.not_after - now))}},
    )


def key_denies_an_administrator(sandbox: RunningSandbox) -> bool:
    """Whether somebody to whom IAM allows everything is kept from signing with the CA's key, by the key's policy."""
    iam, (key,) = sandbox.boto("iam"), sandbox.boto("kms").list_keys()["Keys"]
    iam.create_user(UserName="administrator")
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(everything))
    access = iam.create_access_key(UserName="administrator")["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": access["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": access["SecretAccessKey"]}
    kms = replace(sandbox, env=sandbox.env | credentials).boto("kms")
    assert kms.describe_key(KeyId=key["KeyArn"])["KeyMetadata"]["KeyUsage"] == "SIGN_VERIFY"
    try:
        kms.sign(KeyId=key["KeyArn"], Message=bytes(32), MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDeniedException"
    return False


def renewed(pi: RaspberryPi, cloud: Cloud, sandbox: RunningSandbox, *, confirms: bool = True) -> None:
    """``confirms`` is whether the device says that its new certificate works: those of the first release do not."""
    old = pi.certificate_id
    make_due(cloud, pi, sandbox)
    assert "Renewed" in pi.zymkey_iot("renew").out
    assert pi.certificate_id != old
    if confirms:
        until(lambda: cloud.certificates_of(pi.name)[old] == "INACTIVE")
        assert cloud.certificates_of(pi.name)[pi.certificate_id] == "ACTIVE"
    else:
        active = {name for name, status in cloud.certificates_of(pi.name).items() if status == "ACTIVE"}
        assert {old, pi.certificate_id} <= active
    pi.zymkey_iot("publish", "devices/{device}/t", "1")
    pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")


def a_ca_that_was_retired_by_the_command_alone_is_not_made_active_again(
    addresses: Addresses, sandbox: RunningSandbox, first_release: Path
) -> None:
    """The first release knew no setting for it, and the update changes the registration: it gets the fleet's tag."""
    iot = sandbox.boto("iot")
    Command(str(first_release / "bin" / "zymkey-fleet"), sandbox.env)("ca", "retire", "2026", "--force")
    with pytest.raises(SandboxError, match=r"is INACTIVE in AWS IoT, as\s"):
        start_sandbox(addresses, "kms")
    (ca,) = iot.list_ca_certificates()["certificates"]
    assert ca["status"] == "INACTIVE"
    iot.update_ca_certificate(certificateId=ca["certificateId"], newStatus="ACTIVE")


def test_a_deployment_of_the_first_release_is_updated_under_a_device_that_stays_what_it_is(
    addresses: Addresses, first_release: Path, tmp_path: Path
) -> None:
    sandbox = start_sandbox(addresses, "kms", app=first_release)
    fleet = operator(sandbox.env)
    pi = RaspberryPi(new_name(), sandbox.env, tmp_path / "enrolled")
    pi.zymkey_iot = Command(str(first_release / "bin" / "zymkey-iot"), pi.zymkey_iot.environment)
    pi.zymkey_iot("bootstrap", "--mqtt", ZYMKEY_IOT_TOKEN=fleet("invite", pi.name, "--json").json["token"])
    invited = RaspberryPi(new_name(), sandbox.env, tmp_path / "invited")
    invited.zymkey_iot = Command(str(first_release / "bin" / "zymkey-iot"), invited.zymkey_iot.environment)
    token = fleet("invite", invited.name, "--json").json["token"]
    # A device that is ahead of its cloud, and asks for what that does not know.
    ahead = RaspberryPi(new_name(), sandbox.env, tmp_path / "ahead")
    ahead.zymkey_iot("bootstrap", "--mqtt", ZYMKEY_IOT_TOKEN=fleet("invite", ahead.name, "--json").json["token"])
    before, outputs, certificate = stateful_resources(sandbox), sandbox.outputs, pi.certificate_pem
    assert {each.rpartition("(")[2].rstrip(")") for each in before} == STATEFUL

    a_ca_that_was_retired_by_the_command_alone_is_not_made_active_again(addresses, sandbox, first_release)
    sandbox = start_sandbox(addresses, "kms")
    cloud = Cloud(sandbox)
    assert {name: stateful_resources(sandbox).get(name) for name in before} == before
    assert {name: sandbox.outputs.get(name) for name in outputs} == outputs

    (ca,) = cloud.iot.list_ca_certificates()["certificates"]
    tags = cloud.iot.list_tags_for_resource(resourceArn=ca["certificateArn"])["tags"]
    assert {"Key": "zymkey-fleet", "Value": "zymkey"} in tags
    assert key_denies_an_administrator(sandbox)

    # The device of the first release notices nothing, and renews.
    pi.zymkey_iot("bootstrap", "--mqtt")
    assert pi.certificate_pem == certificate
    renewed(pi, cloud, sandbox, confirms=False)
    # A token that was given out before is good, and a device that knows of no turns waits for its own.
    cloud.ledger.take_turn(Turns(per_second=10), now=int((time.time() + 4) * 1_000))
    waited = invited.zymkey_iot("bootstrap", "--mqtt", ZYMKEY_IOT_TOKEN=token)
    assert "devices are to be registered before this one" in waited.out
    assert ahead.zymkey_iot("status", "--json").json["certificate"]
    renewed(ahead, cloud, sandbox)

    # The device's own update finds all in its state folder, and renews as well.
    updated = RaspberryPi(pi.name, sandbox.env, tmp_path / "enrolled")
    files, known = updated.files(), json.loads((updated.state / "device.json").read_text())
    assert not updated.zymkey_iot("bootstrap", "--mqtt", "--json").json["enrolled"]
    now = updated.files()
    # All that it writes is what this bootstrap was told besides, so that the timer knows it, too; and that it has said
    # that its certificate works, which the device of the first release could not.
    assert {name for name in now if now[name] != files.get(name)} == {"device.json", "confirmed"}
    assert set(now) - set(files) == {"confirmed"}
    assert known.items() <= json.loads((updated.state / "device.json").read_text()).items()
    renewed(updated, cloud, sandbox)
    # The settings gained a thing group, which those that are in are not put into: that is told, and no failure.
    assert {each["kind"] for each in operator(sandbox.env)("audit", "--json").json} <= {"thing-drifted"}
