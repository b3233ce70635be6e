"""`zymkey-iot credentials`: what AWS's SDKs read, where it comes from, and each way to fail."""

import json
import re
import sys
from pathlib import Path

import boto3
import pytest

from tests.support.device.aws_credentials import device, given, memory, provider
from tests.support.device.credential_provider import ALIAS, SECRET, TOKEN, CredentialProvider, Refusal
from tests.support.device.est_server import EstServer
from tests.support.device.pi import REPOSITORY, Pi

__all__ = ["device", "memory", "provider"]


def test_it_prints_what_sdks_read_and_nothing_else(device: Pi, provider: CredentialProvider) -> None:
    done = device.run("credentials")
    document = given(done)

    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(document.pop("Expiration")))
    assert document == {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLE1",
        "SecretAccessKey": SECRET,
        "SessionToken": TOKEN,
    }
    assert done.stderr.count("\n") == done.stderr.count("warning")
    assert provider.asked == [(f"/role-aliases/{ALIAS}/credentials", "pi-7")]


# Where they come from


def test_a_configuration_from_before_the_setting_needs_nothing_but_the_enrollment_url(
    pi: Pi, est: EstServer, provider: CredentialProvider, memory: Path
) -> None:
    source = est.configuration.pop("credentials")
    pi.environment |= {"IOT_CREDENTIAL_ENDPOINT": provider.endpoint, "XDG_RUNTIME_DIR": str(memory)}
    assert pi.run("bootstrap").returncode == 0

    done = pi.run("credentials")
    assert (done.returncode, done.stdout) == (10, "")
    assert "this fleet gives its devices no AWS credentials." in done.stderr
    assert "the operator sets credentials in the fleet's cdk.json" in done.stderr

    est.configuration["credentials"] = source
    kept = pi.files()
    given(pi.run("credentials"))
    assert pi.files() == kept


def test_when_the_enrollment_url_does_not_serve_the_second_one_is_asked(
    pi: Pi, est: EstServer, provider: CredentialProvider, memory: Path
) -> None:
    source = est.configuration.pop("credentials")
    pi.environment |= {"IOT_CREDENTIAL_ENDPOINT": provider.endpoint, "XDG_RUNTIME_DIR": str(memory)}
    assert pi.run("bootstrap").returncode == 0
    est.configuration["credentials"] = source
    kept = json.loads((pi.state / "device.json").read_text())
    moved = kept | {"url": "https://localhost:1", "fallback-url": kept["url"]}
    (pi.state / "device.json").write_text(json.dumps(moved))
    del pi.environment["ENROLLMENT_URL"]

    done = pi.run("credentials")
    given(done)
    assert "https://localhost:1 does not serve: " in done.stderr
    assert f"{kept['url']} does, and was asked in its place." in done.stderr


def test_a_role_alias_that_has_another_name_now_is_asked_for(
    device: Pi, est: EstServer, provider: CredentialProvider
) -> None:
    est.configuration["credentials"]["roleAlias"] = "other-device"
    provider.aliases = {"other-device"}
    given(device.run("credentials"))
    assert [path.split("/")[2] for path, _ in provider.asked] == [ALIAS, "other-device"]


def test_a_role_alias_that_is_gone_is_said(device: Pi, provider: CredentialProvider) -> None:
    provider.aliases = set()
    done = device.run("credentials")
    assert (done.returncode, done.stdout) == (10, "")
    assert f"AWS IoT has no role alias {ALIAS} (404: Role alias does not exist)" in done.stderr
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("status", "message", "code", "sentence"),
    [
        (403, "Invalid thing name passed", 10, "AWS IoT does not know this certificate as the thing pi-7's (403"),
        (403, "Access Denied", 10, "the IoT policy does not allow this device the AWS credentials of loopback-device"),
        (401, "", 10, "the IoT policy does not allow this device the AWS credentials of loopback-device (401)."),
        (403, "Certificate is invalid on this endpoint", 9, "does not give this certificate AWS credentials (403: Ce"),
        (400, "Unable to assume the role, or the role to assume does not exist", 10, "cannot take the role behind lo"),
        (400, "The requested CredentialDurationSeconds exceeds", 10, "AWS IoT cannot take the role behind loopback-d"),
        (429, "Too Many Requests", 8, "AWS IoT is busy or failing (429: Too Many Requests)."),
        (500, "", 8, "AWS IoT is busy or failing (500)."),
        (302, "x\x1b[31m", 8, "AWS IoT did not give AWS credentials (302: x"),
    ],
)
def test_each_refusal_of_aws_says_whose_it_is(
    device: Pi, provider: CredentialProvider, status: int, message: str, code: int, sentence: str
) -> None:
    provider.refusals = [Refusal(status, message)]
    done = device.run("credentials")

    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Try: " in done.stderr
    assert "\x1b" not in done.stderr
    assert given(device.run("credentials")), "a refusal is not kept"


@pytest.mark.parametrize("tls", ["signer", "curl"])
def test_a_connection_that_ends_is_a_certificate_that_is_refused(
    device: Pi, provider: CredentialProvider, tls: str
) -> None:
    provider.end = 9
    done = device.run("credentials", "--tls", tls)
    assert (done.returncode, done.stdout) == (9, "")
    assert "refused the certificate" in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"credentials": {}}',
        b'{"credentials": {"accessKeyId": "A", "secretAccessKey": 7, "sessionToken": "T", "expiration": "x"}}',
        b'{"credentials": {"accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T", "expiration": "soon"}}',
        b'{"credentials": {"accessKeyId": "A\\n", "secretAccessKey": "S", "sessionToken": "T", "expiration": "soon"}}',
    ],
)
def test_an_answer_that_cannot_be_read_is_not_printed(device: Pi, provider: CredentialProvider, body: bytes) -> None:
    provider.body = body
    done = device.run("credentials")
    assert (done.returncode, done.stdout) == (8, "")
    assert "AWS IoT sent AWS credentials that cannot be read." in done.stderr


@pytest.mark.parametrize(("seconds", "sentence"), [(-60, "expired at 2"), (86400, "gives no credentials for as long")])
def test_a_clock_that_is_wrong_is_found_by_how_long_they_live(
    device: Pi, provider: CredentialProvider, seconds: int, sentence: str
) -> None:
    provider.seconds = seconds
    done = device.run("credentials")
    assert (done.returncode, done.stdout) == (5, "")
    assert sentence in done.stderr
    assert "timedatectl" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("https://abc.credentials.iot.eu-central-1.amazonaws.com", "it is a host name alone, without a scheme"),
        ("abc.credentials.iot.eu-central-1.amazonaws.com/role-aliases", "it is a host name alone, without a scheme"),
        ("abc.credentials.iot.eu-central-1.amazonaws.com:", "a port is a number from 1 to 65535"),
        ("a b:443", "no host has such a name"),
    ],
)
def test_an_endpoint_that_is_none_is_named(device: Pi, address: str, sentence: str) -> None:
    done = device.run("credentials", "--credential-endpoint", address)
    assert (done.returncode, done.stdout) == (2, "")
    assert "(--credential-endpoint) is not allowed: " in done.stderr
    assert sentence in done.stderr


def test_curl_asks_as_this_process_does(device: Pi, provider: CredentialProvider) -> None:
    given(device.run("credentials", "--tls", "curl"))
    assert provider.asked == [(f"/role-aliases/{ALIAS}/credentials", "pi-7")]


def test_a_device_without_a_certificate_is_told_to_bootstrap(pi: Pi, memory: Path) -> None:
    done = pi.run("credentials", XDG_RUNTIME_DIR=str(memory))
    assert (done.returncode, done.stdout) == (12, "")
    assert "zymkey-iot bootstrap" in done.stderr


# What SDKs do with it


def test_boto3_reads_the_printed_profile_whatever_the_paths_have_in_them(
    device: Pi, provider: CredentialProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / 'a folder\'s "state"'
    device.state.rename(moved)
    printed = device.run("config", "aws-cli", ZYMKEY_IOT_STATE=str(moved), PATH=f"{REPOSITORY}/bin:/usr/bin:/bin")
    assert printed.returncode == 0, printed.stderr
    profile = tmp_path / "config"
    profile.write_text(printed.stdout)
    assert "\n# region = " in printed.stdout
    assert SECRET not in printed.stdout

    for name, value in {**device.environment, "AWS_CONFIG_FILE": str(profile)}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "ZYMKEY_IOT_STATE"):
        monkeypatch.delenv(name, raising=False)
    credentials = boto3.Session(profile_name="zymkey-iot", region_name="eu-central-1").get_credentials()

    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("ASIAEXAMPLE1", SECRET, TOKEN)
    assert credentials.method == "custom-process"


def test_the_profile_names_the_region_of_the_endpoint(device: Pi) -> None:
    printed = device.run("config", "aws-cli", IOT_ENDPOINT="abc-ats.iot.us-gov-west-1.amazonaws.com").stdout
    assert "\nregion = us-gov-west-1\n" in printed
    assert "credential_process = /" in printed


def test_the_profile_names_this_command_by_its_whole_path(device: Pi) -> None:
    printed = device.run("config", "aws-cli", PATH="/usr/bin:/bin").stdout
    (command,) = re.findall(r"^credential_process = (\S+) credentials", printed, re.MULTILINE)
    assert command in (f"{sys.prefix}/bin/zymkey-iot", "/usr/local/bin/zymkey-iot")
