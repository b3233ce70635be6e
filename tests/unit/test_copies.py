"""What the device has to have a copy of, since it imports nothing of the cloud's: held against the original.

And what the two say to each other: what one writes, the other reads.
"""

import argparse
import base64
import datetime
import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from device import cli as device_cli
from device import configuration as device_configuration
from device import csr, est, https, upload
from device import text as device_text
from device.certificate import DeviceCertificate
from device.errors import Busy, CertificateUnwanted, DeviceError, EnrollmentRefused, Pending, RequestRefused, UsageError
from device.keys import fingerprint
from device.keys import pkcs11_uri as device_pkcs11_uri
from device.keys.file import FileKey
from device.network import Network
from device.setting_values import NAME
from device.settings import load
from fleet import cli as fleet_cli
from fleet import text as fleet_text
from fleet.errors import Refused
from fleet.pkcs11_uri import Pkcs11Uri
from functions import configuration, refusals, reply
from functions.handlers import http_api
from functions.request import decode
from infra import lifecycle_topics
from infra.credential_settings import role_alias
from infra.topics import Topics
from ledger.records import Certificate, CertificateState
from ledger.token import new_token
from pki import issuers
from pki.certificates import device_certificate
from pki.csr import read_csr
from pki.fingerprint import certificate_id, key_fingerprint
from pki.names import common_names, is_device_name

ROOT = Path(__file__).parents[2]
KEY = FileKey(Path("throw-away"), ec.generate_private_key(ec.SECP256R1()))
NETWORK = Network(ssl.create_default_context())
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def certificate(*, names: tuple[str, ...] = ("pi-7",), seconds: int = 86400) -> x509.Certificate:
    """A certificate for ``KEY``, valid for so many seconds from ``NOON`` on."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON)
        .not_valid_after(NOON + datetime.timedelta(seconds=seconds))
        .sign(KEY, hashes.SHA256())
    )


# Names of keys, certificates and devices


def test_a_key_has_one_fingerprint() -> None:
    assert KEY.fingerprint == fingerprint(KEY.public_key()) == key_fingerprint(KEY.public_key())


def test_a_certificate_has_one_id() -> None:
    original = certificate()
    assert DeviceCertificate(original).certificate_id == certificate_id(original)


@pytest.mark.parametrize("names", [(), ("pi-7",), ("pi-7", "pi-8")])
def test_a_subject_has_one_common_name_or_none_that_counts(names: tuple[str, ...]) -> None:
    original = certificate(names=names)
    found = common_names(original.subject)
    assert DeviceCertificate(original).common_name == (found[0] if len(found) == 1 else None)


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_.-]{0,70}", fullmatch=True)))
def test_a_device_name_is_allowed_on_both_sides_or_on_neither(name: str) -> None:
    assert (NAME.fullmatch(name) is not None) == is_device_name(name)


def test_the_issuer_that_signs_elsewhere_is_called_the_same() -> None:
    assert device_configuration.EXTERNAL_ISSUER == issuers.EXTERNAL


# When a certificate is due


@given(life=st.integers(60, 30 * 365 * 86400), share=st.floats(0, 1))
def test_what_the_device_calls_due_the_cloud_renews(life: int, share: float) -> None:
    """The ledger counts whole seconds, so it may call a certificate due one second before the device does."""
    ours = DeviceCertificate(certificate(seconds=life))
    start = int(ours.not_before.timestamp())
    theirs = Certificate(
        device="pi-7",
        certificate_id=ours.certificate_id,
        pem="",
        fingerprint=KEY.fingerprint,
        serial="1",
        not_before=start,
        not_after=start + life,
        issued_by="",
        state=CertificateState.ACTIVE,
        updated_at=start,
    )
    due = int(ours.due_at.timestamp())
    for moment in (start + round(life * share), due - 2, due - 1, due, due + 1):
        here = datetime.datetime.fromtimestamp(moment, datetime.UTC)
        assert theirs.is_due(moment) in (ours.is_due(here), ours.is_due(here + datetime.timedelta(seconds=1)))
        assert theirs.is_due(moment) or not ours.is_due(here)


# What the device asks for, and how


@pytest.mark.parametrize(
    "route",
    [
        f"POST {est.PATH}/simpleenroll",
        f"POST {est.PATH}/simplereenroll",
        f"GET {est.PATH}/cacerts",
        f"GET {device_configuration.PATH}",
        f"POST {upload.PATH}",
    ],
)
def test_what_the_device_asks_for_is_answered(route: str) -> None:
    assert route in http_api._ROUTES


def test_a_csr_of_the_device_is_read_with_its_name_and_key() -> None:
    request = read_csr(base64.b64encode(csr.make_csr(KEY, "pi-7")))
    assert (request.common_name, request.fingerprint) == ("pi-7", KEY.fingerprint)


def test_a_token_that_the_operator_hands_out_is_taken_by_the_device_and_read_by_the_cloud(tmp_path: Path) -> None:
    token = new_token()
    settings = load(argparse.Namespace(token=token, state=str(tmp_path)), environ={}, files=())
    headers = est.authorization("pi-7", settings.token)
    credentials = decode({"headers": headers}).credentials
    assert credentials is not None
    assert (credentials.name, credentials.token) == ("pi-7", token)


@given(st.text())
def test_a_stranger_s_words_are_made_safe_by_both_commands_alike(words: str) -> None:
    assert device_text.printable(words) == fleet_text.printable(words)


# What the cloud answers


@pytest.mark.parametrize("url", [None, "https://enroll.example.com"])
@pytest.mark.parametrize("alias", [None, role_alias("x" * 31)])
def test_the_configuration_of_the_cloud_is_read_whole(url: str | None, alias: str | None) -> None:
    topics = {"publish": list(Topics().publish), "subscribe": list(Topics().subscribe)}
    lifecycle = lifecycle_topics.of_fleet("greenhouses").document()
    choices = SimpleNamespace(
        fleet="greenhouses",
        issuer="external",
        topics=topics,
        lifecycle=lifecycle if url else {},
        enrollment_url=url,
        role_alias=alias,
    )
    deployment = SimpleNamespace(
        choices=choices,
        data_endpoint="a1b2c3-ats.iot.eu-central-1.amazonaws.com",
        credential_endpoint="a1b2c3.credentials.iot.eu-central-1.amazonaws.com",
    )
    document = configuration.configuration(deployment)  # type: ignore[arg-type]
    read = device_configuration.Configuration.from_json(json.dumps(document).encode())

    assert (read.fleet, read.issuer, read.data_endpoint) == ("greenhouses", "external", deployment.data_endpoint)
    assert (read.enrollment_url, read.announcement_refused) == (url, None)
    assert (read.https_port, read.mqtt_port) == (configuration.HTTPS_PORT, configuration.MQTT_PORT)
    assert (read.publish, read.subscribe) == (Topics().publish, Topics().subscribe)
    assert read.test_topic("pi-7") == "devices/pi-7/bootstrap"
    assert (read.confirm_topic, read.renewal_topic) == (
        (lifecycle["confirm"], lifecycle["renew"]) if url else (None, None)
    )
    given = device_configuration.CredentialSource(endpoint=deployment.credential_endpoint, role_alias=alias or "")
    assert read.credentials == (None if alias is None else given)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[reply.Reply], None]:
    """A function that has the device's next request answered as the cloud's function answers it."""

    def set_answer(answered: reply.Reply) -> None:
        encoded = answered.encode()
        headers = {name.lower(): value for name, value in encoded["headers"].items()}
        received = https.Reply(encoded["statusCode"], headers, encoded["body"].encode())
        monkeypatch.setattr(https, "request", lambda *_, **__: received)

    return set_answer


def enroll() -> DeviceCertificate:
    return est.enroll("https://x.example", b"", name="pi-7", token=None, key=KEY, network=NETWORK).certificate


def hand_over() -> bool:
    finished = DeviceCertificate(certificate())
    return upload.upload("https://x.example", finished, name="pi-7", token=None, key=KEY, network=NETWORK)


def test_an_issued_certificate_arrives(answer: Callable[[reply.Reply], None]) -> None:
    issued = device_certificate(
        signer=KEY,
        ca=certificate(names=("CA",)),
        key=KEY.public_key(),
        device="pi-7",
        subject={},
        validity_days=1,
        now=NOON,
    )
    answer(reply.issued(issued))
    assert enroll().x509 == issued


def test_the_ca_certificates_arrive(answer: Callable[[reply.Reply], None]) -> None:
    authorities = [certificate(names=("old CA",)), certificate(names=("new CA",))]
    answer(reply.ca_certificates(authorities))
    found = est.ca_certificates("https://x.example", network=NETWORK)
    assert {each.certificate_id for each in found} == {certificate_id(each) for each in authorities}


@pytest.mark.parametrize(
    ("refusal", "kind", "retry_after"),
    [
        (refusals.NotYet("Wait for the operator.", retry_after=30), Pending, 30),
        (refusals.BadRequest("The CSR is wrong."), RequestRefused, None),
        (refusals.Unauthorized("The token is spent."), EnrollmentRefused, None),
        (refusals.Forbidden("The device is blocked."), EnrollmentRefused, None),
        (refusals.NotFound("There is nothing here."), EnrollmentRefused, None),
        (refusals.TooMany("Too many strangers.", retry_after=300), Busy, 300),
        (refusals.Unavailable("AWS takes no more calls.", retry_after=5), Busy, 5),
    ],
)
def test_each_refusal_means_on_the_device_what_it_means_in_the_cloud(
    answer: Callable[[reply.Reply], None], refusal: Any, kind: type[DeviceError], retry_after: float | None
) -> None:
    answer(reply.refusal(refusal))
    with pytest.raises(kind) as refused:
        enroll()
    assert (type(refused.value), refused.value.retry_after) == (kind, retry_after)
    assert issubclass(kind, EnrollmentRefused) or refused.value.transient
    assert refusal.status == 404 or refusal.sentence.rstrip(".") in refused.value.cause


def test_an_upload_tells_done_from_done_before_and_from_unwanted(answer: Callable[[reply.Reply], None]) -> None:
    answer(reply.document({"device": "pi-7"}))
    assert hand_over() is True
    answer(reply.refusal(refusals.Conflict("The ledger has had it before.")))
    assert hand_over() is False
    answer(reply.refusal(refusals.BadRequest("The certificate was not issued by this fleet's CA.")))
    with pytest.raises(CertificateUnwanted, match="not issued by this fleet's CA"):
        hand_over()


# Keys in PKCS#11 tokens: the device's, and the CA's


@pytest.mark.parametrize(
    "rest",
    [
        "token=fleet;object=device",
        "object=device%20key;type=private;serial=0123",
        "token=fleet;id=%01%ff?module-path=/usr/lib/libzk_pkcs11.so",
        "object=device?pin-source=file:/etc/zymkey-iot/pin&module-path=/usr/lib/softhsm/libsofthsm2.so",
    ],
)
def test_a_pkcs11_uri_names_the_same_key_to_both_commands(rest: str) -> None:
    ours, theirs = device_pkcs11_uri.parse(rest), Pkcs11Uri.parse(f"pkcs11:{rest}")
    assert (ours.token, ours.object, ours.id, ours.serial) == (theirs.token, theirs.object, theirs.id, theirs.serial)
    assert (ours.module_path, ours.pin_source) == (theirs.module_path, theirs.pin_file)


@pytest.mark.parametrize("rest", ["object", "object=key;type=cert", "object=key;colour=red", "object=key?pin-value=1"])
def test_a_pkcs11_uri_is_refused_by_both_commands(rest: str) -> None:
    with pytest.raises(UsageError):
        device_pkcs11_uri.parse(rest)
    with pytest.raises(Refused):
        Pkcs11Uri.parse(f"pkcs11:{rest}")


# What one command tells people to do with the other


@pytest.mark.parametrize(
    ("folders", "command", "known"),
    [
        (["device"], "zymkey-fleet", fleet_cli.COMMANDS),
        (["fleet", "functions", "infra"], "zymkey-iot", device_cli.COMMANDS),
    ],
)
def test_the_other_command_has_what_people_are_told_to_type(
    folders: list[str], command: str, known: dict[str, str]
) -> None:
    text = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    named = set(re.findall(rf"{command} ([a-z]+)\b(?![-.])", text))
    assert named
    assert named <= set(known)
