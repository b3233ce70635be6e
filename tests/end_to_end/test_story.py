"""The whole story, with each issuer and the real commands: a device from nothing, its troubles, its end.

The operator's command runs under the operator's policy, the device's with a simulated Zymkey.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.deployment import THING_GROUP
from tests.support.cloud.commands import Answer, Command, RaspberryPi, interrupt, operator
from tests.support.cloud.enrollment import Candidate, Cloud, new_name
from tests.support.cloud.running_sandbox import RunningSandbox

EACH_ISSUER = pytest.mark.parametrize("issuer", ["kms", "aws", "external"], indirect=True)


@pytest.fixture
def cloud(sandbox: RunningSandbox) -> Cloud:
    return Cloud(sandbox)


@pytest.fixture
def fleet(sandbox: RunningSandbox) -> Command:
    return operator(sandbox.env)


@pytest.fixture
def pi(sandbox: RunningSandbox, tmp_path: Path) -> RaspberryPi:
    return RaspberryPi(new_name(), sandbox.env, tmp_path)


@pytest.fixture
def sign(sandbox: RunningSandbox, fleet: Command) -> Callable[[RaspberryPi], None]:
    """The operator signs a CSR that waits, with the CA at hand. Where the cloud signs, there is nothing to do."""

    def run(pi: RaspberryPi) -> None:
        if sandbox.issuer == "external":
            fleet("sign", pi.name, *ca_options(sandbox))

    return run


def ca_options(sandbox: RunningSandbox) -> Sequence[object]:
    folder = sandbox.addresses.directory / "external-ca"
    key = ("--ca-key", folder / "ca.key", "--passphrase-file", folder / "passphrase")
    return ("--ca-cert", folder / "ca.crt", *key)


def enrolled(
    pi: RaspberryPi, sandbox: RunningSandbox, fleet: Command, sign: Callable[[RaspberryPi], None]
) -> RaspberryPi:
    """A device that somebody has invited and that is in."""
    token = fleet("invite", pi.name, "--json").json["token"]
    if sandbox.issuer == "external":
        pi.zymkey_iot("bootstrap", "--give-up-after", "1s", code=7, ZYMKEY_IOT_TOKEN=token)
        sign(pi)
    pi.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=token)
    return pi


@EACH_ISSUER
def test_a_device_from_nothing_to_its_first_message_and_back_after_every_loss(
    sandbox: RunningSandbox, fleet: Command, pi: RaspberryPi, cloud: Cloud
) -> None:
    invitation = fleet("invite", pi.name, "--json").json
    refused = pi.zymkey_iot("bootstrap", code=6, ZYMKEY_IOT_TOKEN="not-the-token")
    assert "the fleet did not accept the token" in refused.err
    pi.zymkey.reset()

    # The command as it was printed is all that is needed.
    if sandbox.issuer == "external":
        wait_for_the_ca(sandbox, fleet, pi, as_printed(pi, invitation))
    else:
        done = Command.ended(as_printed(pi, invitation))
        assert f"{pi.name} is on AWS IoT" in done.out
        # That of TLS: the CSR is the one that was made for the refused token.
        assert pi.zymkey.signatures() == 1
    certificate = pi.certificate_pem
    assert cloud.certificates_of(pi.name) == {pi.certificate_id: "ACTIVE"}

    # To its own topics, and to no other.
    pi.zymkey_iot("publish", "devices/{device}/temperature", '{"celsius": 21.5}')
    pi.zymkey_iot("publish", "--mqtt", "devices/{device}/temperature", '{"celsius": 21.5}')
    for way in ([], ["--mqtt"]):
        denied = pi.zymkey_iot("publish", *way, "devices/another/temperature", "0", "--json", code=10)
        assert (denied.json["error"], "devices/another/temperature" in denied.err) == ("topic-denied", True)

    # Again: nothing is asked for, nothing changes, and it costs one signature.
    files = pi.files()
    pi.zymkey.reset()
    again = pi.zymkey_iot("bootstrap", "--json").json
    assert (again["enrolled"], pi.zymkey.signatures(), pi.files()) == (False, 1, files)
    assert pi.zymkey_iot("renew", code=13).out.splitlines()[-1].startswith("Not due before")
    assert pi.certificate_pem == certificate

    # All files lost: the key is still the device.
    shutil.rmtree(pi.state)
    pi.zymkey_iot("bootstrap")
    assert pi.certificate_pem == certificate
    assert cloud.certificates_of(pi.name) == {pi.certificate_id: "ACTIVE"}

    # Another Zymkey is another device, whatever name it takes.
    pi.zymkey.swap()
    shutil.rmtree(pi.state)
    swapped = pi.zymkey_iot("bootstrap", code=6, ZYMKEY_IOT_TOKEN=invitation["token"])
    assert invitation["token"] not in swapped.out + swapped.err


def as_printed(pi: RaspberryPi, invitation: Mapping[str, str]) -> "subprocess.Popen[str]":
    """A shell on the Pi, into which somebody has pasted the command, and then the token."""
    about_this_pi = {"ENROLLMENT_URL", "ZYMKEY_IOT_NAME"}
    environment = {k: v for k, v in pi.zymkey_iot.environment.items() if k not in about_this_pi}
    return Command("sh", environment).start(
        "-c", f"exec env {invitation['command']} <<END\n{invitation['token']}\nEND\n"
    )


def wait_for_the_ca(
    sandbox: RunningSandbox, fleet: Command, pi: RaspberryPi, bootstrap: "subprocess.Popen[str]"
) -> None:
    """The device waits and says so; somebody loses patience; the CA signs elsewhere; the device goes on."""
    assert bootstrap.stdout is not None
    progress = next(line for line in bootstrap.stdout if "Again in" in line)
    assert f"{pi.name} has to wait: The CSR waits for a signature by the fleet's CA" in progress
    assert "the same command again" in interrupt(bootstrap).err

    waiting = {each["name"]: each for each in fleet("pending", "--json").json}
    assert (waiting[pi.name]["waitsFor"], waiting[pi.name]["fingerprint"]) == ("signature", pi.fingerprint)
    exported = pi.folder / "to-sign"
    fleet("export", exported)
    folder = sandbox.addresses.directory / "external-ca"
    Command("openssl", sandbox.env)(
        *("x509", "-req", "-in", exported / f"{pi.name}.csr", "-out", pi.folder / "signed.crt", "-days", "30"),
        *("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-passin", f"file:{folder / 'passphrase'}"),
    )
    shutil.rmtree(exported)
    exported.mkdir()
    shutil.move(pi.folder / "signed.crt", exported)
    (imported,) = fleet("import", exported, "--json").json
    assert (imported["name"], imported["registered"]) == (pi.name, True)

    pi.zymkey.reset()
    assert f"{pi.name} is on AWS IoT" in pi.zymkey_iot("wait").out
    assert pi.zymkey.signatures() == 1
    assert pi.name not in {each["name"] for each in fleet("pending", "--json").json}


@EACH_ISSUER
def test_two_bootstraps_at_once_end_with_one_certificate(
    sandbox: RunningSandbox,
    fleet: Command,
    pi: RaspberryPi,
    cloud: Cloud,
    sign: Callable[[RaspberryPi], None],
) -> None:
    token = fleet("invite", pi.name, "--json").json["token"]
    both = [pi, pi.beside("other-state")]

    def at_once(*options: str, code: int) -> list[Answer]:
        processes = [each.zymkey_iot.start("bootstrap", *options, ZYMKEY_IOT_TOKEN=token) for each in both]
        return [Command.ended(each, code=code) for each in processes]

    if sandbox.issuer == "external":
        at_once("--give-up-after", "1s", code=7)
        sign(pi)
    at_once(code=0)

    assert both[0].certificate_pem == both[1].certificate_pem
    assert cloud.certificates_of(pi.name) == {pi.certificate_id: "ACTIVE"}
    shown = fleet("show", pi.name, "--json").json
    assert [each["state"] for each in shown["certificates"]] == ["active"]
    assert pi.zymkey_iot("bootstrap").out.splitlines()[-2].endswith("The key signed once.")


@EACH_ISSUER
def test_a_device_is_blocked_and_unblocked_then_its_board_breaks_and_at_last_it_leaves(
    sandbox: RunningSandbox, fleet: Command, pi: RaspberryPi, cloud: Cloud, sign: Callable[[RaspberryPi], None]
) -> None:
    enrolled(pi, sandbox, fleet, sign)
    assert state_in_list(fleet, pi) == "enrolled"

    fleet("block", pi.name)
    assert state_in_list(fleet, pi) == "blocked"
    assert cloud.certificates_of(pi.name) == {pi.certificate_id: "INACTIVE"}
    assert "refused the certificate" in pi.zymkey_iot("publish", "devices/{device}/t", "1", code=9).err
    assert "refused the certificate" in pi.zymkey_iot("bootstrap", code=9).err
    certificate = pi.certificate_pem
    shutil.rmtree(pi.state)
    assert "is blocked" in pi.zymkey_iot("bootstrap", code=6).err

    fleet("unblock", pi.name)
    pi.zymkey_iot("bootstrap")
    assert pi.certificate_pem == certificate
    pi.zymkey_iot("publish", "devices/{device}/t", "1")

    shown = fleet("show", pi.name, "--json").json
    assert (shown["state"], shown["fingerprint"]) == ("enrolled", pi.fingerprint)
    assert [(each["certificateId"], each["state"]) for each in shown["certificates"]] == [(pi.certificate_id, "active")]
    assert pi.fingerprint in fleet("list").out

    the_board_breaks(sandbox, fleet, pi, cloud, sign)

    # A device's end: nothing of it is left in AWS IoT.
    certificates = cloud.certificates_of(pi.name)
    fleet("block", pi.name)
    removed = fleet("remove", pi.name, "--json").json
    assert (set(removed["certificatesDeleted"]), removed["thing"], removed["kept"]) == (
        set(certificates),
        "deleted",
        [],
    )
    assert cloud.everything().isdisjoint({pi.name, *certificates})
    data = sandbox.boto("iot-data")
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_thing_shadow(thingName=pi.name)
    assert pi.name not in {each["name"] for each in fleet("list", "--json").json}
    told = ("invited", "claimed", "enrolled", "blocked", "unblocked", "replaced", "removed")
    happened = [each["what"] for each in fleet("history", pi.name, "--json").json]
    assert [what for what in happened if what in told] == [
        *("invited", "claimed", "enrolled", "blocked", "unblocked"),
        *("replaced", "invited", "claimed", "enrolled", "blocked", "removed"),
    ]
    assert "the fleet does not know" in pi.beside("afterwards").zymkey_iot("bootstrap", code=6).err


def the_board_breaks(
    sandbox: RunningSandbox, fleet: Command, pi: RaspberryPi, cloud: Cloud, sign: Callable[[RaspberryPi], None]
) -> None:
    """Its SD card goes into another board, and the other Zymkey is the same device from then on."""
    cloud.iot.create_thing_group(thingGroupName=THING_GROUP)
    fleet("set", pi.name, "--attribute", "hall=7", "--group", THING_GROUP)
    data = sandbox.boto("iot-data")
    data.update_thing_shadow(thingName=pi.name, payload=b'{"state": {"reported": {"lamp": "on"}}}')
    before = what_the_name_has(sandbox, cloud, pi.name)
    old, old_key = pi.certificate_id, load_pem_private_key((pi.zymkey.state / "slot-0.pem").read_bytes(), None)
    assert isinstance(old_key, ec.EllipticCurvePrivateKey)

    token = fleet("replace", pi.name, "--json").json["token"]

    assert cloud.certificates_of(pi.name) == {old: "INACTIVE"}
    pi.zymkey.swap()
    assert "zymkey-fleet replace NAME" in pi.zymkey_iot("renew", code=12).err
    if sandbox.issuer == "external":
        pi.zymkey_iot("bootstrap", "--give-up-after", "1s", code=7, ZYMKEY_IOT_TOKEN=token)
        sign(pi)
    pi.zymkey_iot("bootstrap", ZYMKEY_IOT_TOKEN=token)
    assert cloud.certificates_of(pi.name) == {old: "INACTIVE", pi.certificate_id: "ACTIVE"}
    assert what_the_name_has(sandbox, cloud, pi.name) == before
    repaired = Candidate(name=pi.name, key=old_key, token=token)
    for with_token in (True, False):
        refused = cloud.enroll(repaired, with_token=with_token)
        assert (refused.status_code, "is blocked" in refused.text) == (403, True)


def what_the_name_has(sandbox: RunningSandbox, cloud: Cloud, name: str) -> list[object]:
    """Its thing, with its attributes, its groups and its shadow."""
    thing = cloud.iot.describe_thing(thingName=name)
    groups = cloud.iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]
    shadow = sandbox.boto("iot-data").get_thing_shadow(thingName=name)["payload"].read()
    return [thing["thingId"], thing["attributes"], groups, json.loads(shadow)["state"]]


def state_in_list(fleet: Command, pi: RaspberryPi) -> str:
    (state,) = (each["state"] for each in fleet("list", "--json").json if each["name"] == pi.name)
    return str(state)
