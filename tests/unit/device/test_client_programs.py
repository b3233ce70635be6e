"""What `zymkey-iot config CLIENT` prints for each kind of key, and `this_device()`, which its Python programs call."""

import http.client
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from device.clients.greengrass import region_of
from device.errors import CertificateUnusable
from device.identity import Identity, this_device
from device.store import StateFolder
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.authority import DAY, Authority, common_name, now
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import EstServer
from tests.support.device.in_process import Command, zymkey_iot
from tests.support.device.pi import REPOSITORY, Pi
from tests.support.device.softhsm import MODULE, PIN, SoftHsm

__all__ = ["zymkey_iot"]


def config(pi: Pi, client: str) -> str:
    done = pi.run("config", client)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def token_pi(pi: Pi, softhsm: SoftHsm) -> Pi:
    """A device with its key in a PKCS#11 token, bootstrapped."""
    pi.environment |= softhsm.environment() | {"ZYMKEY_IOT_KEY": softhsm.uri}
    assert pi.run("bootstrap").returncode == 0
    return pi


def publish(device: Identity, topic: str) -> int:
    connection = http.client.HTTPSConnection(device.endpoint, device.https_port, context=device.context, timeout=10)
    connection.request("POST", f"/topics/{topic}?qos=1", b"hello")
    with connection.getresponse() as reply:
        return reply.status


def test_a_program_finds_its_device_by_the_settings_that_bootstrap_used(
    pi: Pi, zymkey_iot: Command, endpoint: DataEndpoint, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    monkeypatch.setenv("ZYMKEY_IOT_STATE", str(pi.state))
    monkeypatch.setenv("CA_BUNDLE", str(pki / "ca.pem"))

    device = this_device()

    assert (device.name, device.endpoint, device.https_port) == ("pi-7", "localhost", endpoint.port)
    assert publish(device, "devices/pi-7/hello") == 200
    assert endpoint.published[-1].topic == "devices/pi-7/hello"
    assert device.signer.failure is None


def test_a_program_may_say_it_all_itself(pi: Pi, zymkey_iot: Command, endpoint: DataEndpoint, pki: Path) -> None:
    assert zymkey_iot("bootstrap").returncode == 0

    device = this_device(
        state=pi.state, ca_file=pki / "ca.pem", endpoint="127.0.0.1", https_port=endpoint.port, mqtt_port=1
    )

    assert (device.endpoint, device.mqtt_port) == ("127.0.0.1", 1)
    assert publish(device, "devices/pi-7/hello") == 200


def test_a_program_that_keeps_running_shows_the_renewed_certificate_after_a_refresh(
    pi: Pi, zymkey_iot: Command, endpoint: DataEndpoint, authority: Authority, pki: Path
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    device = this_device(state=pi.state, ca_file=pki / "ca.pem", https_port=endpoint.port)
    path = StateFolder(pi.state).certificate_path
    first = load_pem_x509_certificate(path.read_bytes())
    assert not device.refresh()

    key = first.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    second = authority.issue(key, common_name("pi-7"), since=now() - DAY, until=now() + 90 * DAY)
    path.write_bytes(second.public_bytes(Encoding.PEM))

    shown = []
    for renewed in (True, False):
        assert device.refresh() is renewed
        assert publish(device, "devices/pi-7/hello") == 200
        shown.append(endpoint.published[-1].certificate)
    assert shown == [second.public_bytes(Encoding.DER)] * 2

    path.write_text(path.read_text().replace("\n", "\r\n"))
    assert not device.refresh(), "the same certificate, written otherwise"


def test_a_certificate_that_cannot_be_used_leaves_a_program_the_one_that_it_has(
    pi: Pi, zymkey_iot: Command, endpoint: DataEndpoint, authority: Authority, pki: Path
) -> None:
    assert zymkey_iot("bootstrap").returncode == 0
    device = this_device(state=pi.state, ca_file=pki / "ca.pem", https_port=endpoint.port)
    path = StateFolder(pi.state).certificate_path
    another = ec.generate_private_key(ec.SECP256R1()).public_key()
    foreign = authority.issue(another, common_name("pi-7"), since=now() - DAY, until=now() + DAY)

    for content in (b"half a certif", foreign.public_bytes(Encoding.PEM)):
        path.write_bytes(content)
        with pytest.raises(CertificateUnusable):
            device.refresh()
        assert publish(device, "devices/pi-7/hello") == 200


def test_before_the_bootstrap_a_program_is_told_what_comes_first(tmp_path: Path) -> None:
    with pytest.raises(CertificateUnusable) as refused:
        this_device(state=tmp_path / "nothing")
    assert "zymkey-iot bootstrap" in refused.value.cure


def test_the_program_for_requests_publishes_with_the_key_in_the_hsm(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, endpoint: DataEndpoint, tmp_path: Path
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    zymkey.reset()
    program = tmp_path / "hello.py"
    program.write_text(config(zymkey_pi, "requests"))

    done = zymkey_pi.python(str(program), PYTHONPATH=str(REPOSITORY))

    assert (done.returncode, "'message': 'OK'" in done.stdout) == (0, True), done.stderr
    assert endpoint.published[-1].topic == "devices/pi-7/hello"
    assert zymkey.signatures() == 1


def test_the_program_for_paho_names_all_that_is_not_to_be_found_otherwise(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    program = config(pi, "paho")

    compile(program, "hello.py", "exec")
    (call,) = re.findall(r"^device = (this_device\(.*\))$", program, re.MULTILINE)
    assert repr(str(pi.state.absolute())) in call
    assert "'devices/pi-7/hello'" in program


def test_the_commands_for_mosquitto_are_two_that_name_key_and_certificate(
    zymkey_pi: Pi, zymkey: SimulatedZymkey
) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0

    publish, subscribe = map(shlex.split, config(zymkey_pi, "mosquitto").splitlines()[-2:])

    assert ("mosquitto_pub" in publish, "mosquitto_sub" in subscribe) == (True, True)
    for command in (publish, subscribe):
        assert command[command.index("--tls-engine") + 1] == "zymkey_ssl"
        assert command[command.index("--cert") + 1] == str(zymkey_pi.state / "certificate.pem")
        assert command[command.index("--id") + 1] == "pi-7"


def test_the_commands_for_mosquitto_take_a_software_key_as_a_file(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    assert f"--key {pi.state / 'key.pem'} " in config(pi, "mosquitto")


def test_the_aws_sdk_is_given_module_token_and_label_and_reads_the_pin_itself(token_pi: Pi, softhsm: SoftHsm) -> None:
    program = config(token_pi, "aws-sdk")

    compile(program, "hello.py", "exec")
    assert f"file={MODULE!r}" in program
    assert "token_label='fleet'" in program
    assert "private_key_label='device'" in program
    assert repr(str(softhsm.pin_file)) in program


def test_without_a_pin_file_the_program_asks_a_person(token_pi: Pi, softhsm: SoftHsm) -> None:
    token_pi.environment |= {"ZYMKEY_IOT_KEY": softhsm.uri_without_pin, "ZYMKEY_IOT_PIN": PIN}
    assert "getpass" in config(token_pi, "aws-sdk")


def test_greengrass_is_given_the_key_as_its_plugin_asks_for_it(token_pi: Pi, softhsm: SoftHsm) -> None:
    token_pi.environment["IOT_DATA_ENDPOINT"] = "abc.iot.eu-central-1.amazonaws.com"
    configuration = yaml.safe_load(config(token_pi, "greengrass"))

    assert configuration["system"]["thingName"] == "pi-7"
    assert configuration["system"]["privateKeyPath"] == "pkcs11:object=device;type=private"
    plugin = configuration["services"]["aws.greengrass.crypto.Pkcs11Provider"]["configuration"]
    assert (plugin["library"], plugin["name"], plugin["userPin"]) == (MODULE, "fleet", "THE-PIN")


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("abc-ats.iot.eu-central-1.amazonaws.com", "eu-central-1"),
        ("abc.ats.iot.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("abc-ats.iot.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("things.example.com", "YOUR-REGION"),
        ("my.iot.example.com", "YOUR-REGION"),
    ],
)
def test_the_region_is_read_from_the_endpoint_in_every_partition(endpoint: str, region: str) -> None:
    assert region_of(endpoint) == region


@pytest.mark.parametrize("client", ["paho", "requests", "curl", "aws-sdk", "greengrass"])
def test_no_pin_is_printed(token_pi: Pi, client: str) -> None:
    assert not re.search(rf"(?<!\d){PIN}(?!\d)", config(token_pi, client))


def test_what_cannot_use_the_key_names_what_can(token_pi: Pi, softhsm: SoftHsm) -> None:
    def refusal(client: str, **variables: str) -> str:
        done = token_pi.run("config", client, **variables)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert "zymkey-iot config paho" in refusal("mosquitto")
    by_engine = f"engine:{softhsm.uri}"
    for client in ("aws-sdk", "greengrass"):
        assert f"--key '{softhsm.uri}'" in refusal(client, ZYMKEY_IOT_KEY=by_engine)


def test_a_key_in_no_token_is_told_how_it_gets_a_name_in_one(zymkey_pi: Pi) -> None:
    assert zymkey_pi.run("bootstrap").returncode == 0
    for client in ("aws-sdk", "greengrass"):
        assert "zk_pkcs11-util --use-zkslot 0" in zymkey_pi.run("config", client).stderr


def test_a_software_key_is_told_that_its_file_will_do(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    assert "zymkey-iot config paho" in pi.run("config", "greengrass").stderr


def test_a_fleet_whose_devices_may_publish_nothing_leaves_the_topic_to_the_reader(pi: Pi, est: EstServer) -> None:
    est.configuration["topics"] = {"publish": [], "subscribe": []}
    assert pi.run("bootstrap").returncode == 0
    assert "TOPIC" in config(pi, "curl")


def test_explain_prints_the_same_by_hand_with_what_the_cloud_has_said(zymkey_pi: Pi, endpoint: DataEndpoint) -> None:
    assert "DATA-ENDPOINT" in zymkey_pi.run("explain").stdout
    assert zymkey_pi.run("bootstrap").returncode == 0
    assert f"https://localhost:{endpoint.port}/topics/devices/pi-7" in zymkey_pi.run("explain").stdout


def test_json_tells_where_everything_is(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    shown = json.loads(pi.run("status", "--json").stdout)
    assert shown["certificate"] == str(pi.state / "certificate.pem")
