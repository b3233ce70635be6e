"""`zymkey-iot credentials`: what AWS's SDKs read, one signature for as long as that is good, and each way to fail."""

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from device import credential_cache
from device.credential_cache import MARGIN, CredentialCache
from tests.support.device.credential_provider import ALIAS, SECRET, TOKEN, CredentialProvider, Refusal
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import REPOSITORY, Pi

__all__ = ["zymkey_iot"]


@pytest.fixture
def provider(pki: Path, est: EstServer) -> Iterator[CredentialProvider]:
    with CredentialProvider(pki / "localhost.pem", pki / "ca.pem") as server:
        est.configuration["credentials"] = {"endpoint": "localhost", "roleAlias": ALIAS}
        yield server


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """This user's folder in memory."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def device(pi: Pi, provider: CredentialProvider, memory: Path) -> Pi:
    """A device that has bootstrapped, in a fleet that gives its devices credentials."""
    pi.environment |= {"IOT_CREDENTIAL_ENDPOINT": provider.endpoint, "XDG_RUNTIME_DIR": str(memory)}
    done = pi.run("bootstrap")
    assert done.returncode == 0, done.stderr
    return pi


def given(done: "subprocess.CompletedProcess[str]") -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


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


def test_ten_programs_at_once_cost_one_signature(device: Pi, provider: CredentialProvider) -> None:
    with ThreadPoolExecutor(10) as programs:
        documents = list(programs.map(lambda _: given(device.run("credentials")), range(10)))

    assert all(document == documents[0] for document in documents)
    assert (len(provider.asked), provider.handshakes) == (1, 1)
    assert given(device.run("credentials", "--fresh"))["AccessKeyId"] == "ASIAEXAMPLE2"
    assert given(device.run("credentials"))["AccessKeyId"] == "ASIAEXAMPLE2"


@pytest.mark.parametrize(("seconds", "requests"), [(3600, 1), (MARGIN * 2 + 60, 1), (900, 1)])
def test_what_is_kept_lives_on_for_longer_than_an_sdk_wants_or_for_half_of_its_life(
    device: Pi, provider: CredentialProvider, memory: Path, seconds: int, requests: int
) -> None:
    provider.seconds = seconds
    for _ in range(2):
        given(device.run("credentials"))
    assert len(provider.asked) == requests

    (kept,) = (memory / "zymkey-iot").glob("*.json")
    record = json.loads(kept.read_text())
    left = min(MARGIN, seconds / 2)
    record["obtained"] = record["expires"] - seconds
    for used, asked in ((seconds - left - 30, 1), (seconds - left + 30, 2)):
        record["obtained"], record["expires"] = time.time() - used, time.time() - used + seconds
        kept.write_text(json.dumps(record))
        given(device.run("credentials"))
        assert len(provider.asked) == asked


def test_botocore_wants_other_credentials_later_than_they_are_kept() -> None:
    from botocore.credentials import RefreshableCredentials

    assert RefreshableCredentials._advisory_refresh_timeout < MARGIN


def test_a_clock_that_was_set_back_makes_nothing_live_longer(
    device: Pi, provider: CredentialProvider, memory: Path
) -> None:
    given(device.run("credentials"))
    (kept,) = (memory / "zymkey-iot").glob("*.json")
    record = json.loads(kept.read_text())
    kept.write_text(json.dumps(record | {"obtained": time.time() + 60, "expires": time.time() + 7200}))
    given(device.run("credentials"))
    assert len(provider.asked) == 2


def test_another_certificate_or_another_way_to_ask_gets_other_credentials(
    device: Pi, provider: CredentialProvider
) -> None:
    given(device.run("credentials"))
    given(device.run("credentials", "--tls", "signer"))
    assert len(provider.asked) == 2
    certificate = device.state / "certificate.pem"
    certificate.write_bytes(certificate.read_bytes() + b"\n")
    given(device.run("credentials"))
    assert len(provider.asked) == 3


def test_nobody_else_can_read_them_and_no_other_file_has_them(device: Pi, memory: Path, tmp_path: Path) -> None:
    given(device.run("credentials"))
    folder = memory / "zymkey-iot"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.geteuid()
    kept = list(folder.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    holding = {path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")}
    assert {path.suffix for path in holding} == {".json"}
    assert holding <= set(kept)


@pytest.mark.parametrize("what", ["open to others", "a link"])
def test_a_folder_that_is_not_this_users_alone_is_not_used(
    device: Pi, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = memory / "zymkey-iot"
    if what == "a link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o755)
    given(device.run("credentials"))
    assert list(folder.iterdir()) == []


def test_without_a_folder_nothing_is_kept_and_each_run_asks(
    device: Pi, provider: CredentialProvider, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_cache, "_open_folder", lambda _: None)
    for _ in range(2):
        given(zymkey_iot("credentials"))
    assert len(provider.asked) == 2


@pytest.mark.parametrize("name", ["", "ZYMKEY_IOT_STATE"], ids=["option", "variable"])
def test_a_state_folder_that_is_named_from_two_folders_is_two(
    device: Pi, provider: CredentialProvider, tmp_path: Path, name: str
) -> None:
    """What one device was given is not another's, though both are ``--state state`` to those who stand beside it."""
    other = tmp_path / "other"
    shutil.copytree(device.state, other / device.state.name)
    relative = {"ZYMKEY_IOT_STATE": device.state.name} if name else {"ZYMKEY_IOT_STATE": ""}
    options = () if name else ("--state", device.state.name)
    for folder in (device.state.parent, other, other):
        given(replace(device, folder=folder).run("credentials", *options, **relative))
    assert len(provider.asked) == 2


def test_full_memory_costs_signatures_and_no_credentials(
    device: Pi, provider: CredentialProvider, zymkey_iot: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def full(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if str(path).startswith("credentials-") and flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open_file(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", full)
    for _ in range(2):
        given(zymkey_iot("credentials"))
    assert len(provider.asked) == 2


def test_a_certificate_that_changes_meanwhile_is_asked_for_again(
    device: Pi, provider: CredentialProvider, zymkey_iot: Command
) -> None:
    provider.meanwhile = lambda: (device.state / "certificate.pem").write_bytes(
        (device.state / "certificate.pem").read_bytes() + b"\n"
    )
    given(zymkey_iot("credentials"))
    provider.meanwhile = None
    given(zymkey_iot("credentials"))
    assert len(provider.asked) == 2


def test_a_file_that_is_none_of_ours_is_replaced(device: Pi, provider: CredentialProvider, memory: Path) -> None:
    given(device.run("credentials"))
    (kept,) = (memory / "zymkey-iot").glob("*.json")
    for content in ("", "{", "[]", "7", '{"obtained": 0}', '{"obtained": 0, "expires": "x", "files": {}}'):
        kept.write_text(content)
        given(device.run("credentials"))
    assert len(provider.asked) == 7


def test_who_waits_for_too_long_is_told(
    device: Pi, zymkey_iot: Command, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_cache, "PATIENCE", 0.1)
    names: list[str] = []
    original = CredentialCache.__init__

    def remember(self: CredentialCache, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        names.append(self._name)

    monkeypatch.setattr(CredentialCache, "__init__", remember)
    given(zymkey_iot("credentials"))
    import fcntl

    with (memory / "zymkey-iot" / f"{names[0]}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert given(zymkey_iot("credentials"))
        done = zymkey_iot("credentials", "--fresh")
    assert done.returncode == 14
    assert "another zymkey-iot credentials has waited" in done.stderr


def test_what_serves_nobody_any_more_is_removed(device: Pi, memory: Path) -> None:
    folder = memory / "zymkey-iot"
    folder.mkdir(mode=0o700)
    old = folder / "credentials-0123456789abcdef.json"
    old.write_text("{}")
    os.utime(old, (0, 0))
    given(device.run("credentials"))
    assert not old.exists()


def test_a_run_that_finds_them_kept_imports_nothing_of_weight(device: Pi, provider: CredentialProvider) -> None:
    script = (
        "import sys; from device.cli import main; code = main(['credentials']);"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    first, second = (device.python("-c", script).stderr.splitlines()[-1].split() for _ in range(2))
    heavy = {"cryptography", "requests", "urllib3", "ssl", "socket", "pathlib", "dataclasses", "datetime"}

    assert (first[0], second[0]) == ("0", "0")
    assert heavy <= set(first)
    assert not heavy & set(second)
    assert len(provider.asked) == 1


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
