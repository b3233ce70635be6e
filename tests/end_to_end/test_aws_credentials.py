"""AWS credentials for a device's programs: boto3 with no keys, what the role allows, and who is refused."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.credential_settings import role_alias
from sandbox.deployment import BUCKET
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.cloud.commands import Command

pytestmark = pytest.mark.parametrize("issuer", ["kms", "aws"], indirect=True)


class Device:
    """A device that has bootstrapped, with a Zymkey and a folder in memory of its own."""

    def __init__(self, sandbox: Any, folder: Path) -> None:
        self.name = f"pi-{secrets.token_hex(4)}"
        self.zymkey = SimulatedZymkey(folder / "zymkey")
        self.run_folder = folder / "run"
        self.run_folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self.environment = {
            **sandbox.env,
            **self.zymkey.environment(),
            "ZYMKEY_IOT_STATE": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(self.run_folder),
        }
        self.zymkey_iot = Command("zymkey-iot", self.environment)
        token = Command("zymkey-fleet", sandbox.env)("invite", self.name, "--json").json["token"]
        self.zymkey_iot("bootstrap", "--name", self.name, ZYMKEY_IOT_TOKEN=token)

    def session(self, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
        """What a program on the device has: a profile, and no key."""
        profile = self.folder / "config"
        profile.write_text(self.zymkey_iot("config", "aws-cli").out)
        for name, value in {**self.environment, "AWS_CONFIG_FILE": str(profile)}.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PATH", f"{Path(__file__).parents[2] / 'bin'}:{os.environ['PATH']}")
        return boto3.Session(profile_name="zymkey-iot")


@pytest.fixture
def enroll(sandbox: Any, tmp_path: Path) -> Callable[[], Device]:
    """A function that makes a device. The bucket of the sandbox's setting is there."""
    sandbox.boto("s3").create_bucket(Bucket=BUCKET)
    return lambda: Device(sandbox, tmp_path / secrets.token_hex(4))


def test_boto3_may_do_what_the_role_allows_this_device_and_nothing_else(
    sandbox: Any, enroll: Callable[[], Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = enroll()
    before = device.zymkey.signatures()
    session = device.session(monkeypatch)
    s3 = session.client("s3")

    s3.put_object(Bucket=BUCKET, Key=f"{device.name}/picture", Body=b"a picture")
    assert s3.get_object(Bucket=BUCKET, Key=f"{device.name}/picture")["Body"].read() == b"a picture"
    for refused in (
        lambda: s3.put_object(Bucket=BUCKET, Key="pi-of-another/picture", Body=b""),
        lambda: s3.list_objects_v2(Bucket=BUCKET),
        lambda: session.client("dynamodb").scan(TableName=sandbox.outputs["LedgerTable"]),
    ):
        with pytest.raises(ClientError) as denied:
            refused()
        assert denied.value.response["Error"]["Code"].startswith("AccessDenied")
    assert session.client("sts").get_caller_identity()["Arn"].startswith("arn:aws:sts::")
    boto3.Session(profile_name="zymkey-iot").client("s3").get_object(Bucket=BUCKET, Key=f"{device.name}/picture")
    assert device.zymkey.signatures() - before == 1


def test_another_devices_name_another_alias_and_an_inactive_certificate_are_refused(
    sandbox: Any, enroll: Callable[[], Device]
) -> None:
    device, other = enroll(), enroll()
    iot = sandbox.boto("iot")
    alias = role_alias(sandbox.outputs["Fleet"])
    assert iot.describe_role_alias(roleAlias=alias)["roleAliasDescription"]["credentialDurationSeconds"] == 3600

    denied = device.zymkey_iot("credentials", code=10, ZYMKEY_IOT_NAME=other.name)
    assert f"does not know this certificate as the thing {other.name}'s (403: Invalid thing name passed)" in denied.err
    assert denied.out == ""

    configuration = Path(device.environment["ZYMKEY_IOT_STATE"]) / "configuration.json"
    document = json.loads(configuration.read_text())
    assert document["credentials"]["roleAlias"] == alias
    document["credentials"]["roleAlias"] = "another-alias"
    configuration.write_text(json.dumps(document))
    denied = device.zymkey_iot("credentials", code=10)
    assert "does not allow this device the AWS credentials of another-alias (403: Access Denied)" in denied.err

    certificate = json.loads(other.zymkey_iot("status", "--json").out)["certificateId"]
    iot.update_certificate(certificateId=certificate, newStatus="INACTIVE")
    assert "refused the certificate" in other.zymkey_iot("credentials", code=9).err


def test_a_device_from_before_the_setting_gets_credentials_without_anything_done_on_it(
    enroll: Callable[[], Device],
) -> None:
    device = enroll()
    configuration = Path(device.environment["ZYMKEY_IOT_STATE"]) / "configuration.json"
    document = json.loads(configuration.read_text())
    del document["credentials"]
    configuration.write_text(json.dumps(document))

    assert json.loads(device.zymkey_iot("credentials").out)["Version"] == 1
    assert json.loads(device.zymkey_iot("credentials", "--tls", "curl").out)["Version"] == 1
