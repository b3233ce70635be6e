"""Two deployments of one external CA (SNI_ONLY): a device moves from one to the other and back with one certificate.

Each in a sandbox of its own, as in another Region or account. Two deployments take long: `make test-slow` has this;
what needs no deployment of it runs always (tests/unit/functions/test_two_regions.py,
tests/unit/device/test_move_with_same_certificate.py).
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.certificates import ca_certificate
from pki.fingerprint import certificate_id
from sandbox import lifecycle
from sandbox.addresses import Addresses
from sandbox.deployment import THING_GROUP
from tests.support.cloud.commands import Command, RaspberryPi, operator
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.external_authority import Authority
from tests.support.cloud.running_sandbox import start_sandbox
from tests.support.cloud.watcher import Watcher
from tests.support.ports import free_ports

pytestmark = pytest.mark.slow


class Place:
    """One of the deployments, with its operator."""

    def __init__(self, addresses: Addresses, ca_file: Path) -> None:
        self.addresses = addresses
        settings = {"externalCertificateAuthority": json.dumps({"certificate": str(ca_file)})}
        self.sandbox = start_sandbox(addresses, "external", settings=settings)
        self.cloud = Cloud(self.sandbox)
        self.cloud.iot.create_thing_group(thingGroupName=THING_GROUP)  # which the setting things names
        self.zymkey_fleet = operator(self.sandbox.env)

    def lets_in(self, pi: RaspberryPi) -> None:
        self.zymkey_fleet("allow", pi.name, "--key", pi.fingerprint)

    def is_where(self, pi: RaspberryPi) -> None:
        """From now on the sandbox's variables, which a real device does not need, are those of this place."""
        environment = {**pi.zymkey_iot.environment, **self.sandbox.env}
        del environment["ENROLLMENT_URL"]
        pi.zymkey_iot = Command("zymkey-iot", environment)

    def takes(self, pi: RaspberryPi) -> None:
        """What a device does to move here: one command."""
        self.is_where(pi)
        pi.zymkey_iot("bootstrap", self.sandbox.url)

    def hears(self, pi: RaspberryPi) -> None:
        """Over HTTPS and MQTT."""
        assert pi.zymkey_iot("status", "--json").json["url"] == self.sandbox.url
        pi.zymkey_iot("publish", "devices/{device}/t", "1")
        pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")

    def watched(self, *devices: RaspberryPi) -> Watcher:
        watcher = Watcher(self.cloud.iot, self.cloud.ledger, self.cloud.outputs["IotPolicy"])
        for each in devices:
            watcher.expect(each)
        return watcher


@pytest.fixture
def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = ca_certificate(signer=key, common_name="one CA", organization="", validity_years=9, now=datetime.now(UTC))
    return Authority(ca, key)


@pytest.fixture
def places(tmp_path: Path, authority: Authority) -> Iterator[list[Place]]:
    (tmp_path / "ca.crt").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    with ExitStack() as stack:
        found = []
        for name in ("home", "away"):
            gateway, https, mqtt = free_ports(3)
            addresses = Addresses(gateway_port=gateway, https_port=https, mqtt_port=mqtt, directory=tmp_path / name)
            stack.callback(lifecycle.stop, addresses, print)
            found.append(Place(addresses, tmp_path / "ca.crt"))
        yield found


def test_a_device_moves_to_another_deployment_of_its_ca_and_back_with_one_certificate(
    places: list[Place], authority: Authority, tmp_path: Path
) -> None:
    home, away = places
    ca = certificate_id(authority.certificate)
    for place in places:
        described = place.cloud.iot.describe_ca_certificate(certificateId=ca)["certificateDescription"]
        assert (described["certificateMode"], described["status"]) == ("SNI_ONLY", "ACTIVE")
    pi = RaspberryPi(new_name(), home.sandbox.env, tmp_path / "pi")
    signed = tmp_path / "signed"
    signed.mkdir()
    certificate = authority.sign(pi)
    (signed / f"{pi.name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    for place in places:
        place.lets_in(pi)
        assert place.zymkey_fleet("import", signed, "--json").json[0]["registered"]

    home.takes(pi)
    home.hears(pi)
    with home.watched(pi) as at_home, away.watched(pi) as there:
        away.takes(pi)
        away.hears(pi)
        home.takes(pi)
        home.hears(pi)
        assert x509.load_pem_x509_certificate(pi.certificate_pem) == certificate
        for place in places:
            assert place.cloud.certificates_of(pi.name) == {certificate_id(certificate): "ACTIVE"}
            assert place.zymkey_fleet("audit", "--json").json == []
        brings_its_certificate(home, away, authority, tmp_path)
    assert (at_home.problems, there.problems) == ([], [])

    lifecycle.stop(home.addresses, print)  # the Region is down
    away.takes(pi)
    away.hears(pi)


def brings_its_certificate(home: Place, away: Place, authority: Authority, folder: Path) -> None:
    """The other deployment knows the key alone: AWS IoT registers the certificate at its first connection there."""
    pi = RaspberryPi(new_name(), home.sandbox.env, folder / "brings")
    home.lets_in(pi)
    (folder / "one").mkdir()
    (folder / "one" / "its.pem").write_bytes(authority.sign(pi).public_bytes(Encoding.PEM))
    home.zymkey_fleet("import", folder / "one")
    home.takes(pi)
    before = pi.certificate_pem
    away.lets_in(pi)
    away.is_where(pi)
    pi.zymkey_iot("bootstrap", away.sandbox.url, "--certificate", pi.state / "certificate.pem")
    away.hears(pi)
    assert pi.certificate_pem == before
    home.takes(pi)
    home.hears(pi)
