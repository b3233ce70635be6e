"""AWS IoT saw a certificate of the fleet's CA for the first time: which are let in, which are left inactive and why."""

import time

import pytest
from botocore.exceptions import ConnectionClosedError
from cryptography import x509

from audit.deletion import delete
from functions.first_connection import admit
from ledger import Busy
from pki.fingerprint import certificate_id
from tests.support.aws_faults import Faults, Killed
from tests.support.aws_fleet import Candidate, assert_enrolled, new_name
from tests.support.aws_functions import pem
from tests.support.role import FIRST_CONNECTION

pytestmark = pytest.mark.parametrize("issuer", ["external"], indirect=True)


class FactoryDevice(Candidate):
    """A device that has its certificate."""

    certificate: x509.Certificate


@pytest.fixture
def new_device(fleet, authority):
    """A function that makes a device whose certificate AWS IoT has seen, and nobody has acted on."""

    def new_device(name=None, **changes):
        device = FactoryDevice(name=name or new_name("factory"))
        device.certificate = authority.sign(device, **changes)
        register(fleet, device)
        return device

    return new_device


def register(fleet, device):
    """What AWS IoT does of itself, when it sees a certificate that it does not have."""
    (ca,) = fleet.choices.ca_certificates
    reply = fleet.iot.register_certificate(
        certificatePem=pem(device.certificate).decode(), caCertificatePem=pem(ca).decode(), status="INACTIVE"
    )
    # The state that only a first connection can make; UpdateCertificate has it for AWS IoT's own use.
    fleet.iot.update_certificate(certificateId=reply["certificateId"], newStatus="PENDING_ACTIVATION")


def come(fleet, device, *, admission="known-keys", faults=None, later=0):
    """The event of a device's first connection."""
    event = {"certificateId": certificate_id(device.certificate)}
    return admit(
        event,
        admission=admission,
        now=int(time.time()) + later,
        deployment=fleet.deployment(faults, handler=FIRST_CONNECTION),
    )


def test_a_known_key_is_let_in_and_a_second_event_finds_the_work_done(fleet, new_device):
    device = fleet.allow(new_device())
    faults = Faults()
    assert come(fleet, device, faults=faults) == "admitted"
    assert come(fleet, device) == "known already"
    assert_enrolled(fleet, device, device.certificate)
    assert "RegisterCertificate" not in faults.calls, "its role may not register"


def test_a_stranger_is_left_inactive_and_with_any_the_fleets_ca_vouches_for_it(fleet, new_device):
    device = new_device()
    assert f"zymkey-fleet allow NAME --key {device.fingerprint}" in come(fleet, device)
    assert fleet.status_of(device.certificate) == "PENDING_ACTIVATION"
    assert fleet.ledger.device(device.name) is None

    assert come(fleet, device, admission="any") == "admitted"
    assert_enrolled(fleet, device, device.certificate)


@pytest.mark.parametrize("admission", ["known-keys", "any"])
def test_a_blocked_device_is_left_inactive(fleet, new_device, admission):
    device = fleet.allow(new_device())
    fleet.ledger.block(device.name, by="test", now=int(time.time()))
    assert "is blocked" in come(fleet, device, admission=admission)
    assert fleet.status_of(device.certificate) == "PENDING_ACTIVATION"


def test_a_certificate_that_somebody_has_switched_off_is_left_so(fleet, new_device):
    device = fleet.allow(new_device())
    fleet.iot.update_certificate(certificateId=certificate_id(device.certificate), newStatus="REVOKED")
    assert come(fleet, device) == "the certificate is REVOKED in AWS IoT"
    assert fleet.ledger.device(device.name).state == "invited"


def test_with_any_the_certificate_has_to_name_a_device_that_is_new(fleet, new_device):
    impossible = new_device("not a name!")
    assert "the device's name" in come(fleet, impossible, admission="any")
    known = fleet.allow(Candidate())
    namesake = new_device(known.name)
    assert known.name in come(fleet, namesake, admission="any")
    for device in (impossible, namesake):
        assert fleet.status_of(device.certificate) == "PENDING_ACTIVATION"
    assert fleet.ledger.device(known.name).fingerprint == known.fingerprint


def test_a_certificate_for_another_name_than_its_keys_is_left_inactive(fleet, new_device):
    device = fleet.allow(new_device(device="somebody-else"))
    assert "common name is 'somebody-else'" in come(fleet, device)
    assert fleet.status_of(device.certificate) == "PENDING_ACTIVATION"


def test_while_another_request_works_for_the_key_lambda_has_to_try_the_event_again(fleet, new_device):
    device = fleet.allow(new_device())
    with pytest.raises(Killed):
        come(fleet, device, faults=Faults(operation="AttachPolicy", kind="killed"))
    with pytest.raises(Busy):
        come(fleet, device)
    assert come(fleet, device, later=30) == "admitted"
    assert_enrolled(fleet, device, device.certificate)


# What is called for a known key is also called with "any", after the key has been allowed.
@pytest.mark.parametrize("admission", ["any", pytest.param("known-keys", marks=pytest.mark.slow)])
def test_an_event_that_breaks_at_any_call_is_repaired_by_the_next(fleet, new_device, admission):
    def newcomer():
        return new_device() if admission == "any" else fleet.allow(new_device())

    clean = Faults()
    assert come(fleet, newcomer(), admission=admission, faults=clean) == "admitted"
    for position in range(len(clean.calls)):
        device, faults = newcomer(), Faults(position=position, kind="lost")
        with pytest.raises(ConnectionClosedError):
            come(fleet, device, admission=admission, faults=faults)
        assert come(fleet, device, admission=admission, later=30) in ("admitted", "known already")
        assert_enrolled(fleet, device, device.certificate)


def test_with_any_a_key_that_is_allowed_at_the_same_moment_is_let_in(fleet, new_device):
    """The ledger then removes the request of that key, if it has asked for approval: the role needs that, too."""
    device = new_device()
    fleet.ledger.hold_for_approval(fingerprint=device.fingerprint, suggested_name="", now=int(time.time()))
    meanwhile = Faults(operation="TransactWriteItems", kind="meanwhile", meanwhile=lambda: fleet.allow(device))
    assert come(fleet, device, admission="any", faults=meanwhile) == "admitted"
    assert meanwhile.fired
    assert fleet.ledger.requests() == []
    assert_enrolled(fleet, device, device.certificate)


@pytest.mark.parametrize("event", [{}, {"certificateId": None}, {"certificateId": "x"}, {"certificateId": "../" * 20}])
def test_an_event_that_names_no_certificate_is_answered_and_not_tried_again(fleet, event):
    faults = Faults()
    outcome = admit(
        event, admission="any", now=int(time.time()), deployment=fleet.deployment(faults, handler=FIRST_CONNECTION)
    )
    assert (outcome, faults.calls) == ("the event names no certificate", [])


def test_a_certificate_that_aws_iot_no_longer_has_is_no_failure(fleet):
    event = {"certificateId": "0" * 64}
    outcome = admit(event, admission="any", now=int(time.time()), deployment=fleet.deployment(handler=FIRST_CONNECTION))
    assert outcome == "AWS IoT no longer has the certificate"


@pytest.mark.parametrize("pem", ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_certificate_that_cannot_be_read_is_left_inactive(fleet, pem, monkeypatch):
    deployment = fleet.deployment(handler=FIRST_CONNECTION)
    description = {"certificateDescription": {"status": "PENDING_ACTIVATION", "certificatePem": pem}}
    monkeypatch.setattr(deployment.iot, "describe_certificate", lambda **_: description)
    outcome = admit({"certificateId": "0" * 64}, admission="any", now=int(time.time()), deployment=deployment)
    assert "certificate" in outcome


def test_a_removed_device_whose_certificate_has_left_aws_iot_stays_out_when_it_comes_again(fleet, new_device):
    """AWS IoT registers what is presented to it, also what the daily audit has deleted: the ledger remembers it."""
    device = new_device()
    assert come(fleet, device, admission="any") == "admitted"
    now, identifier = int(time.time()), certificate_id(device.certificate)
    fleet.ledger.block(device.name, by="alice", now=now)
    fleet.iot.update_certificate(certificateId=identifier, newStatus="INACTIVE")
    fleet.ledger.deactivated(device.name, identifier, by="alice", now=now)
    fleet.ledger.remove(device.name, by="alice", now=now)
    delete(identifier, iot=fleet.iot)
    fleet.ledger.deleted(device.name, identifier, by="audit", now=now)
    register(fleet, device)
    for admission in ("any", "known-keys"):
        assert come(fleet, device, admission=admission) != "admitted"
        assert fleet.ledger.device(device.name) is None
        assert fleet.status_of(device.certificate) == "PENDING_ACTIVATION"
        assert fleet.policies_of(identifier) == []
