"""The deployment, its operator and its devices; and that all of them work."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from sandbox.addresses import REPOSITORY, Addresses
from sandbox.deployment import CDK
from tests.support.cloud.commands import RaspberryPi, operator
from tests.support.cloud.domain import WayToDomain
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.running_sandbox import start_sandbox
from tests.support.cloud.watcher import Watcher

OLD = {"name": "2026", "commonName": "the old CA", "organization": "Acme", "validityYears": 20}
NEW = OLD | {"name": "2027", "commonName": "the new CA"}

ACCESS_LOG = "/aws/vendedlogs/zymkey"


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


def renews(fleet: Fleet, pi: RaspberryPi) -> None:
    old = pi.certificate_id
    certificate = fleet.cloud.ledger.certificate(pi.name, old)
    assert certificate is not None
    now = int(time.time())
    fleet.age(pi, f"certificate#{old}", not_before=now - 3 * (certificate.not_after - now))
    assert "Renewed" in pi.zymkey_iot("renew").out
    assert pi.certificate_id != old
    assert_all_work([pi])
