"""A device that came out of the factory with a certificate: AWS IoT drops it once, and then it is in."""

import json
import ssl
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device.first_connection import FIRST_LOOK, REGISTRATION_TIME
from sandbox.zymkey.device import SimulatedZymkey
from tests.support.device.authority import DAY, now
from tests.support.device.data_endpoint import DataEndpoint
from tests.support.device.est_server import Answer, EstServer
from tests.support.device.factory import Factory, hasty, hasty_first_connection, kept
from tests.support.device.pi import Pi

# It looks often enough to see 403 more than once.
PATIENT = hasty_first_connection(0.1, 20) + "import sys; from device.cli import main; sys.exit(main())"


def test_where_https_registers_the_first_publish_is_dropped_and_the_second_is_taken(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    certificate = factory.certify(zymkey_pi)
    endpoint.on_first_connection = est.registered.add

    result = hasty(zymkey_pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "AWS IoT always drops the first connection" in result.stdout
    assert "MQTT" not in result.stdout
    assert "The key signed 2 times." in result.stdout
    assert zymkey.signatures() == 2
    assert factory.broker.client_ids == []
    assert (est.enrollments, est.uploads) == ([], [])
    assert kept(zymkey_pi) == certificate
    assert [message.topic for message in endpoint.published] == ["devices/pi-7/bootstrap"]


def test_the_operators_guide_says_what_a_first_connection_costs() -> None:
    """Which the tests before and after this one count."""
    guide = " ".join((Path(__file__).parents[3] / "docs" / "operator.md").read_text().split())
    assert "it is in, for two signatures by the HSM (dropped, accepted)" in guide
    assert "four signatures (refused twice, dropped, accepted), and one for each further look" in guide
    assert f"waits {FIRST_LOOK:.0f} s, and publishes again" in guide
    assert f"looks again for up to {REGISTRATION_TIME:.0f} s, one signature a look" in guide


def test_while_the_fleet_has_not_decided_the_answer_is_403_and_mqtt_is_not_tried(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    certificate = factory.certify(zymkey_pi)
    endpoint.on_first_connection = nobody_hears
    looks: list[bytes] = []
    serve = endpoint.serve

    def decided_at_the_third_look(handler: BaseHTTPRequestHandler) -> None:
        looks.append(certificate.public_bytes(Encoding.DER))
        if len(looks) == 3:
            est.registered.add(looks[0])
        serve(handler)

    endpoint.serve = decided_at_the_third_look  # type: ignore[method-assign]

    result = zymkey_pi.forked("-c", PATIENT, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "(403)" in result.stdout
    assert (factory.broker.client_ids, est.uploads) == ([], [])
    assert zymkey.signatures() == 1 + len(looks)


def test_a_registration_over_https_that_nobody_decides_on_is_made_good_by_an_upload(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    certificate = factory.certify(pi)
    endpoint.on_first_connection = nobody_hears

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert factory.broker.client_ids == []
    (upload,) = est.uploads
    assert x509.load_pem_x509_certificate(upload.body) == certificate


def test_a_device_that_has_curl_alone_is_let_in_over_https(
    zymkey_pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    certificate = factory.certify(zymkey_pi)
    endpoint.on_first_connection = est.registered.add

    result = hasty(zymkey_pi, "bootstrap", ZYMKEY_IOT_TLS="curl")

    assert result.returncode == 0, result.stderr
    assert (factory.broker.client_ids, est.uploads) == ([], [])
    assert kept(zymkey_pi) == certificate


def test_where_only_mqtt_registers_the_device_connects_there_and_that_costs_the_hsm_four_signatures(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    certificate = factory.certify(zymkey_pi)

    result = hasty(zymkey_pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "AWS IoT always drops the first connection" in result.stdout
    assert "over MQTT; AWS IoT dropped the connection, as expected" in result.stdout
    assert "The key signed 4 times." in result.stdout
    assert zymkey.signatures() == 4
    assert factory.broker.client_ids == ["pi-7"]
    assert (est.enrollments, est.uploads) == ([], [])
    assert kept(zymkey_pi) == certificate
    assert [message.topic for message in endpoint.published] == ["devices/pi-7/bootstrap"]


def test_every_kind_of_key_gets_there(any_pi: Pi, factory: Factory) -> None:
    certificate = factory.certify(any_pi)

    result = hasty(any_pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert factory.broker.client_ids == ["pi-7"]
    assert kept(any_pi) == certificate


def test_afterwards_it_is_a_device_like_any_other_and_the_file_is_not_needed(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer
) -> None:
    factory.certify(zymkey_pi)
    assert hasty(zymkey_pi, "bootstrap").returncode == 0
    before, asked = zymkey_pi.files(), len(est.asked)
    zymkey.reset()

    assert zymkey_pi.run("bootstrap").returncode == 0
    factory.card.unlink()
    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_CERTIFICATE"):
        del zymkey_pi.environment[known]
    assert zymkey_pi.run("bootstrap").returncode == 0

    assert zymkey.signatures() == 2
    assert zymkey_pi.files() == before
    assert len(est.asked) == asked


def test_a_certificate_that_is_registered_is_taken_at_once(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory
) -> None:
    factory.known.add(factory.certify(zymkey_pi).public_bytes(Encoding.DER))

    assert zymkey_pi.run("bootstrap").returncode == 0

    assert zymkey.signatures() == 1
    assert factory.broker.client_ids == []


def test_the_certificate_names_a_device_that_nobody_has_named(pi: Pi, factory: Factory) -> None:
    del pi.environment["ZYMKEY_IOT_NAME"]
    factory.certify(pi, name="from-the-factory")

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "from-the-factory is on AWS IoT" in result.stdout
    assert json.loads((pi.state / "device.json").read_text())["name"] == "from-the-factory"


def test_the_leaf_is_found_in_a_file_with_its_chain_in_any_order(pi: Pi, factory: Factory, est: EstServer) -> None:
    certificate = factory.certify(pi)
    chain = [each.public_bytes(Encoding.PEM) for each in (*est.authorities, certificate)]
    factory.card.write_bytes(b"".join(chain))

    assert hasty(pi, "bootstrap").returncode == 0

    assert kept(pi) == certificate


# Where the first connection is not enough


def nobody_hears(_: bytes) -> None:
    """Just-in-time registration is off, or its message was lost."""


def test_a_first_connection_that_nobody_hears_of_is_made_good_by_an_upload(
    pi: Pi, factory: Factory, est: EstServer
) -> None:
    certificate = factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert factory.broker.client_ids == ["pi-7"]
    (upload,) = est.uploads
    assert x509.load_pem_x509_certificate(upload.body) == certificate
    assert (upload.headers["content-type"], upload.credentials) == ("application/x-pem-file", None)


def test_a_token_is_shown_at_once_because_a_connection_cannot_show_it(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer
) -> None:
    factory.certify(zymkey_pi)

    result = zymkey_pi.run("bootstrap", ZYMKEY_IOT_TOKEN="one-time")

    assert result.returncode == 0, result.stderr
    assert est.uploads[0].credentials == "pi-7:one-time"
    assert factory.broker.client_ids == []
    assert zymkey.signatures() == 2


@pytest.mark.parametrize("obstacle", ["port closed", "curl alone"])
def test_without_mqtt_the_upload_alone_will_do(zymkey_pi: Pi, factory: Factory, est: EstServer, obstacle: str) -> None:
    factory.certify(zymkey_pi)
    if obstacle == "port closed":
        est.configuration["mqttPort"] = 1
    else:
        zymkey_pi.environment["ZYMKEY_IOT_TLS"] = "curl"

    result = hasty(zymkey_pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert "MQTT cannot be used" in result.stdout
    assert len(est.uploads) == 1


def test_a_key_that_nobody_knows_is_refused_and_let_in_later_without_arguments(
    pi: Pi, factory: Factory, est: EstServer
) -> None:
    certificate = factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears
    est.upload_answers = [Answer(401, b"Nobody invited this key.")]

    result = hasty(pi, "bootstrap")

    assert result.returncode == 6
    assert "the fleet does not know pi-7" in result.stderr
    assert "(401): Nobody invited this key." in result.stderr
    assert "zymkey-fleet allow pi-7 --key SHA256:" in result.stderr
    assert not (pi.state / "certificate.pem").exists()

    for known in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_CERTIFICATE"):
        del pi.environment[known]
    assert hasty(pi, "bootstrap").returncode == 0
    assert kept(pi) == certificate


def test_an_upload_waits_for_the_operator_s_approval(pi: Pi, factory: Factory, est: EstServer) -> None:
    factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears
    est.upload_answers = [Answer(202, b"waits for the operator's approval", {"Retry-After": "0"})] * 2

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert result.stdout.count("waits for the operator's approval") == 2
    est.registered.clear()
    (pi.state / "certificate.pem").unlink()
    est.upload_answers = [Answer(202, b"waits for the operator's approval", {"Retry-After": "3600"})]
    assert hasty(pi, "bootstrap").returncode == 7


def test_a_certificate_that_a_renewal_has_superseded_gives_way_to_the_one_that_is_current(
    pi: Pi, factory: Factory, est: EstServer, endpoint: DataEndpoint
) -> None:
    old = factory.certify(pi, until=now() + 20 * DAY)
    factory.broker.on_first_connection = nobody_hears
    est.upload_answers = [Answer(409, b"This certificate was already registered, and is deactivated now.")]
    endpoint.known = None
    endpoint.refuse = ["end"] * 50  # the old one, for as long as it is shown
    issue = est.issue

    def issue_and_relent(csr: bytes) -> x509.Certificate:
        endpoint.refuse.clear()
        return issue(csr)

    est.issue = issue_and_relent  # type: ignore[method-assign]

    result = hasty(pi, "bootstrap")

    assert result.returncode == 0, result.stderr
    assert kept(pi) != old
    assert kept(pi).public_key() == old.public_key()


def test_a_renewed_certificate_is_not_given_up_for_the_factory_s(pi: Pi, factory: Factory, est: EstServer) -> None:
    old = factory.certify(pi, since=now() - 90 * DAY, until=now() + 10 * DAY)
    assert hasty(pi, "bootstrap").returncode == 0
    assert kept(pi) == old
    est.valid_since = timedelta(0)
    endpoint_knows = factory.known
    issue = est.issue

    def issue_and_register(csr: bytes) -> x509.Certificate:
        endpoint_knows.add(issue(csr).public_bytes(Encoding.DER))
        return issue(csr)

    est.issue = issue_and_register  # type: ignore[method-assign]
    assert pi.run("renew").returncode == 0
    renewed = kept(pi)
    assert renewed != old

    assert pi.run("bootstrap").returncode == 0

    assert kept(pi) == renewed


def test_the_time_limit_bounds_the_first_connection_too(pi: Pi, factory: Factory, est: EstServer) -> None:
    factory.certify(pi)
    factory.broker.on_first_connection = nobody_hears
    started = time.monotonic()

    result = pi.run("bootstrap", "--give-up-after", "0.2s")

    assert result.returncode == 0, result.stderr
    assert len(est.uploads) == 1
    assert time.monotonic() - started < FIRST_LOOK, "nobody waits longer than that for the fleet to act"


@pytest.mark.parametrize("given", [{"ZYMKEY_IOT_TOKEN": "token"}, {}], ids=["upload", "connection"])
def test_an_enrollment_server_that_asks_gets_no_certificate_and_no_signature(
    zymkey_pi: Pi, zymkey: SimulatedZymkey, factory: Factory, est: EstServer, pki: Path, given: dict[str, str]
) -> None:
    """After the refused publish, this process has a context that signs handshakes: for AWS IoT alone."""
    factory.certify(zymkey_pi)
    est.context.load_verify_locations(pki / "ca.pem")
    est.context.verify_mode = ssl.CERT_OPTIONAL
    shown: list[object] = []
    serve = est.serve

    def watched(handler: BaseHTTPRequestHandler) -> None:
        shown.append(handler.connection.getpeercert(binary_form=True))  # type: ignore[attr-defined]
        serve(handler)

    est.serve = watched  # type: ignore[method-assign]

    assert hasty(zymkey_pi, "bootstrap", **given).returncode == 0

    assert len(shown) > 1
    assert set(shown) == {None}
