"""A device from the factory, its certificate signed by the fleet's own CA, meets AWS IoT for the first time.

With the real commands, the real broker and the deployed rule and function.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.fingerprint import certificate_id
from tests.support.cloud.commands import Command, RaspberryPi, interrupt, operator
from tests.support.cloud.enrollment import Cloud, new_name
from tests.support.cloud.external_authority import Authority
from tests.support.cloud.running_sandbox import RunningSandbox
from tests.support.cloud.switches import https_registers_nothing
from tests.support.device.factory import hasty_first_connection

pytestmark = pytest.mark.parametrize("issuer", ["external"], indirect=True)


@pytest.fixture
def cloud(sandbox: RunningSandbox) -> Cloud:
    return Cloud(sandbox)


@pytest.fixture
def fleet(sandbox: RunningSandbox) -> Command:
    return operator(sandbox.env)


class FactoryPi(RaspberryPi):
    """A device with its certificate on its card."""

    certificate: x509.Certificate

    @property
    def card(self) -> Path:
        return self.folder / "factory.crt"

    @property
    def first_bootstrap(self) -> list[object]:
        return ["bootstrap", "--certificate", self.card]

    @property
    def hasty(self) -> Command:
        """Its command, which does not wait long for a cloud that is going to refuse, or that has not heard of it."""
        return replace(self.zymkey_iot, change=hasty_first_connection(0.5, 2))


@pytest.fixture
def pi(sandbox: RunningSandbox, tmp_path: Path) -> FactoryPi:
    made = FactoryPi(new_name("factory"), sandbox.env, tmp_path)
    certify(made, Authority.of(sandbox).sign(made))
    return made


def certify(pi: FactoryPi, certificate: x509.Certificate) -> None:
    pi.certificate = certificate
    pi.card.write_bytes(pi.certificate.public_bytes(Encoding.PEM))


def status(cloud: Cloud, certificate: x509.Certificate) -> str | None:
    """What AWS IoT says of a certificate; None when it has never met it."""
    try:
        reply = cloud.iot.describe_certificate(certificateId=certificate_id(certificate))
    except cloud.iot.exceptions.ResourceNotFoundException:
        return None
    return str(reply["certificateDescription"]["status"])


def assert_in(pi: FactoryPi, cloud: Cloud) -> None:
    """In with the factory's certificate, and no other."""
    assert cloud.certificates_of(pi.name) == {certificate_id(pi.certificate): "ACTIVE"}
    assert pi.certificate_pem == pi.certificate.public_bytes(Encoding.PEM)
    device = cloud.ledger.device(pi.name)
    assert device is not None
    assert (device.state, device.fingerprint) == ("enrolled", pi.fingerprint)


def test_a_known_key_is_dropped_once_and_then_in(pi: FactoryPi, fleet: Command, cloud: Cloud) -> None:
    fleet("allow", pi.name, "--key", pi.fingerprint)

    answer = pi.zymkey_iot(*pi.first_bootstrap)

    assert "AWS IoT always drops the first connection" in answer.out
    assert "MQTT" not in answer.out
    assert "upload" not in answer.out
    assert_in(pi, cloud)
    # Dropped, taken; and one for each look that came too early.
    looks = answer.out.count("not yet") + answer.out.count("Again in") - 1
    signatures = 2 + looks
    assert pi.zymkey.signatures() == signatures
    assert f"The key signed {signatures} times." in answer.out
    pi.zymkey_iot("publish", "--mqtt", "devices/{device}/t", "1")

    pi.zymkey.reset()
    files = pi.files()
    assert "The key signed once." in pi.zymkey_iot("bootstrap").out
    assert (pi.zymkey.signatures(), pi.files()) == (1, files)


def test_where_only_mqtt_registers_it_is_dropped_there_and_then_in(
    pi: FactoryPi, fleet: Command, cloud: Cloud, sandbox: RunningSandbox
) -> None:
    fleet("allow", pi.name, "--key", pi.fingerprint)

    with https_registers_nothing(sandbox):
        answer = replace(pi.zymkey_iot, change=hasty_first_connection(1, 20))(*pi.first_bootstrap)

    assert "over MQTT; AWS IoT dropped the connection, as expected" in answer.out
    assert "upload" not in answer.out
    assert_in(pi, cloud)
    # Refused twice, dropped, taken; and one for each look that came too early.
    assert pi.zymkey.signatures() == 4 + answer.out.count("Again in")


def test_an_unknown_key_is_left_inactive_and_in_as_soon_as_it_is_known(
    pi: FactoryPi, fleet: Command, cloud: Cloud
) -> None:
    answer = pi.hasty(*pi.first_bootstrap, code=6)

    assert (
        f"the fleet does not know {pi.name} with the key {pi.fingerprint} (401): This key has no invitation"
        in answer.err
    )
    assert f"zymkey-fleet allow {pi.name} --key {pi.fingerprint}" in answer.err
    assert status(cloud, pi.certificate) == "PENDING_ACTIVATION"
    assert cloud.ledger.device(pi.name) is None

    fleet("allow", pi.name, "--key", pi.fingerprint)
    pi.zymkey_iot("bootstrap")
    assert_in(pi, cloud)


def test_a_blocked_device_stays_out(pi: FactoryPi, fleet: Command, cloud: Cloud) -> None:
    fleet("allow", pi.name, "--key", pi.fingerprint)
    fleet("block", pi.name)

    answer = pi.hasty(*pi.first_bootstrap, code=6)

    assert "is blocked" in answer.err
    assert status(cloud, pi.certificate) == "PENDING_ACTIVATION"


def test_an_invited_device_shows_its_token_with_the_certificate_and_needs_no_first_connection(
    pi: FactoryPi, fleet: Command, cloud: Cloud
) -> None:
    token = fleet("invite", pi.name, "--json").json["token"]

    answer = pi.zymkey_iot(*pi.first_bootstrap, ZYMKEY_IOT_TOKEN=token)

    assert "the fleet registered the certificate" in answer.out
    assert_in(pi, cloud)
    assert pi.zymkey.signatures() == 2 + answer.out.count("Again in")
    assert token not in answer.out + answer.err


@pytest.fixture
def lost_messages(sandbox: RunningSandbox, cloud: Cloud) -> Iterator[None]:
    """AWS IoT registers, and nobody hears of it."""
    rules = cloud.iot.list_topic_rules()["rules"]
    (rule,) = (each["ruleName"] for each in rules if "certificates/registered" in each["topicPattern"])
    cloud.iot.disable_topic_rule(ruleName=rule)
    yield
    cloud.iot.enable_topic_rule(ruleName=rule)


@pytest.fixture
def no_registration(sandbox: RunningSandbox, cloud: Cloud) -> Iterator[None]:
    """As with the setting `firstConnection: off`: the CA's registration says that AWS IoT is not to look."""
    ca = certificate_id(Authority.of(sandbox).certificate)
    cloud.iot.update_ca_certificate(certificateId=ca, newAutoRegistrationStatus="DISABLE")
    yield
    cloud.iot.update_ca_certificate(certificateId=ca, newAutoRegistrationStatus="ENABLE")


@pytest.mark.parametrize(("trouble", "left"), [("lost_messages", "PENDING_ACTIVATION"), ("no_registration", None)])
def test_a_first_connection_that_leads_nowhere_is_made_good_by_an_upload_also_after_an_interruption(
    pi: FactoryPi, fleet: Command, cloud: Cloud, trouble: str, left: str | None, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(trouble)
    fleet("allow", pi.name, "--key", pi.fingerprint)
    process = pi.zymkey_iot.start(*pi.first_bootstrap)
    assert process.stdout is not None
    for line in process.stdout:
        if "AWS IoT always drops the first connection" in line:
            break
    assert "the same command again" in interrupt(process).err
    assert status(cloud, pi.certificate) == left

    answer = pi.hasty("bootstrap")

    assert "the fleet registered the certificate" in answer.out
    assert_in(pi, cloud)


def test_it_renews_with_a_csr_that_waits_for_the_operator(
    pi: FactoryPi, fleet: Command, cloud: Cloud, sandbox: RunningSandbox
) -> None:
    # 30 days are left of 120, so it is due.
    certify(pi, Authority.of(sandbox).backdated(pi.certificate, dt.datetime.now(dt.UTC) - dt.timedelta(days=90)))
    fleet("allow", pi.name, "--key", pi.fingerprint)
    pi.zymkey_iot(*pi.first_bootstrap)

    waiting = pi.zymkey_iot("renew", "--give-up-after", "1s", code=7)

    assert "waits for a signature by the fleet's CA" in waiting.err
    assert "The old certificate stays in use" in waiting.err
    assert_in(pi, cloud)
    pi.zymkey_iot("publish", "devices/{device}/t", "1")

    ca = sandbox.addresses.directory / "external-ca"
    key = ("--ca-key", ca / "ca.key", "--passphrase-file", ca / "passphrase")
    fleet("sign", pi.name, "--ca-cert", ca / "ca.crt", *key)
    assert "Renewed" in pi.zymkey_iot("renew").out
    assert pi.certificate_id != certificate_id(pi.certificate)
    shown = fleet("show", pi.name, "--json").json
    states = {each["certificateId"]: each["state"] for each in shown["certificates"]}
    assert states.pop(pi.certificate_id) == "active"
    # Until the device's word that the new one works has come.
    assert states.pop(certificate_id(pi.certificate)) in ("superseded", "deactivated")
    assert states == {}
    pi.zymkey_iot("publish", "devices/{device}/t", "1")

    # The card still holds the factory's certificate, which is no reason to go back to it.
    renewed = pi.certificate_pem
    pi.zymkey_iot(*pi.first_bootstrap)
    assert pi.certificate_pem == renewed
