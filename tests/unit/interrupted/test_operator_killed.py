"""kill -9 of the operator's commands at random moments: the same command again finishes the job."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fleet.cards import token_of
from ledger import THING_MARK, CertificateAuthority, CertificateState, State, ThingProfile
from ledger.token import token_hash
from pki.certificates import ca_certificate, device_certificate
from pki.fingerprint import certificate_id, key_fingerprint
from tests.support.aws_fleet import new_name
from tests.support.fleet.authority import csr
from tests.support.interrupted.moments import Kills, killed_at_random
from tests.support.interrupted.whole_fleet import WholeFleet, register_authority

Tell = Callable[[Kills], None]


class Operator:
    """Somebody whose machine dies while a command of hers works, and who types it again."""

    def __init__(self, whole: WholeFleet, folder: Path) -> None:
        self.whole = whole
        self.folder = folder
        self.words: tuple[object, ...] = ()
        self.before: set[str] = set()

    def kill(self, name: str, *, prepare: Callable[[], None], finish: Callable[[], None]) -> Kills:
        """Kill the command of `words`, which `prepare` sets, at random moments; `finish` judges each time."""

        def begin() -> None:
            prepare()
            self.whole.recorder.forget()
            self.before = self.whole.fleet.everything()

        def wait_for_work() -> None:
            assert self.whole.recorder.first.wait(30)

        return killed_at_random(
            name,
            prepare=begin,
            start=lambda: self.whole.operator(*self.words),
            wait_for_work=wait_for_work,
            phase=self._phase,
            finish=finish,
        )

    def again(self) -> tuple[int, str, str]:
        """The same command once more: exit code, stdout, stderr."""
        process = self.whole.operator(*self.words)
        out, err = process.communicate(60)
        assert process.returncode is not None
        return process.returncode, out, err

    def _phase(self) -> str:
        calls = self.whole.recorder.calls
        return f"{len(calls):02} {' '.join(calls[-1])}"

    def new_certificates(self) -> set[str]:
        return {each for each in self.whole.fleet.everything() - self.before if len(each) == 64}

    def device(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """A name and a key that may enroll."""
        name, key = new_name(), ec.generate_private_key(ec.SECP256R1())
        self.whole.cloud.ledger.allow(
            name, fingerprint=key_fingerprint(key.public_key()), by="test", now=int(time.time())
        )
        return name, key

    def signed(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        assert self.whole.authority_key is not None
        return device_certificate(
            signer=self.whole.authority_key,
            ca=self.whole.authority,
            key=key.public_key(),
            device=name,
            subject={},
            validity_days=30,
            now=datetime.now(UTC),
        )

    def can_publish(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bool:
        assert not self.whole.can_publish(certificate, key, "devices/another/state", self.folder)
        return self.whole.can_publish(certificate, key, f"devices/{name}/state", self.folder)


@pytest.fixture
def operator(external: WholeFleet, tmp_path: Path) -> Operator:
    return Operator(external, tmp_path)


class Enrolled:
    """A device with a certificate in use, and one that a renewal has superseded."""

    def __init__(self, operator: Operator) -> None:
        self.operator, self.whole = operator, operator.whole
        self.name, self.key = operator.device()
        self.certificates = [operator.signed(self.name, self.key) for _ in range(2)]
        for each in self.certificates:
            self.whole.upload(each)
        assert self.powers() == [True, True]

    def powers(self) -> list[bool]:
        """What each certificate may do."""
        return [self.operator.can_publish(self.name, self.key, each) for each in self.certificates]

    def statuses(self) -> list[str | None]:
        return [self.whole.fleet.status_of(each) for each in self.certificates]

    def block(self) -> None:
        ledger, now = self.whole.cloud.ledger, int(time.time())
        ledger.block(self.name, by="test", now=now)
        for each in self.certificates:
            self.whole.cloud.iot.update_certificate(certificateId=certificate_id(each), newStatus="INACTIVE")
            ledger.deactivated(self.name, certificate_id(each), by="test", now=now)


def test_a_change_of_a_thing_is_finished_in_the_ledger_and_in_aws_iot(operator: Operator, tell: Tell) -> None:
    cloud = operator.whole.cloud
    iot: Any = cloud.iot
    names: list[str] = []

    def prepare() -> None:
        names[:] = [operator.device()[0]]
        attributes = {THING_MARK: cloud.fleet, "site": "berlin"}
        iot.create_thing(thingName=names[0], attributePayload={"attributes": attributes})
        operator.words = ("set", names[0], "--attribute", "site=", "--attribute", "hall=7")

    def finish() -> None:
        assert operator.again()[0] == 0
        known = cloud.ledger.device(names[0])
        assert known is not None
        assert known.profile == ThingProfile(attributes={"hall": "7"})
        assert iot.describe_thing(thingName=names[0])["attributes"] == {THING_MARK: cloud.fleet, "hall": "7"}

    tell(operator.kill("set", prepare=prepare, finish=finish))


def test_a_list_is_invited_with_a_card_for_each_and_a_card_that_works_stays(operator: Operator, tell: Tell) -> None:
    ledger = operator.whole.cloud.ledger
    names: list[str] = []
    folder, listed = operator.folder / "cards", operator.folder / "devices.csv"

    def tokens() -> dict[str, str]:
        """Of the cards that there are."""
        cards = {name: folder / name / "zymkey-iot.toml" for name in names}
        return {name: token_of(card.read_text()) or "" for name, card in cards.items() if card.exists()}

    def prepare() -> None:
        names[:] = [new_name() for _ in range(20)]
        listed.write_text("\n".join(names))
        operator.words = ("invite", "--from", listed, "--cards", folder)

    def finish() -> None:
        written = tokens()
        # No card that has been copied meanwhile is worthless: not now, and not after the command was typed again.
        assert all(ledger.device_of_token(name, token_hash(token)) for name, token in written.items())
        assert operator.again()[0] == 0
        assert tokens().keys() == set(names)
        assert written.items() <= tokens().items()
        assert all(ledger.device_of_token(name, token_hash(token)) for name, token in tokens().items())

    tell(operator.kill("invite --cards", prepare=prepare, finish=finish))


def test_a_block_is_finished_and_the_devices_publish_no_more(operator: Operator, tell: Tell) -> None:
    whole = operator.whole
    devices: list[Enrolled] = []

    def prepare() -> None:
        devices[:] = [Enrolled(operator) for _ in range(2)]
        operator.words = ("block", *(each.name for each in devices))

    def finish() -> None:
        assert operator.again()[0] == 0
        for blocked in devices:
            assert blocked.powers() == [False, False]
            assert blocked.statuses() == ["INACTIVE", "INACTIVE"]
            known = whole.cloud.ledger.device(blocked.name)
            assert known is not None
            assert known.state is State.BLOCKED
            certificates = whole.cloud.ledger.certificates(blocked.name)
            assert {each.state for each in certificates} == {CertificateState.DEACTIVATED}
            assert whole.enroll(blocked.name, blocked.key) == 403
        assert operator.new_certificates() == set()
        assert whole.findings() == []

    tell(operator.kill("block", prepare=prepare, finish=finish))


def test_a_replacement_is_finished_and_the_old_key_publishes_no_more(operator: Operator, tell: Tell) -> None:
    whole = operator.whole
    devices: list[Enrolled] = []

    def prepare() -> None:
        devices[:] = [Enrolled(operator)]
        operator.words = ("replace", devices[0].name, "--json")

    def finish() -> None:
        (replaced,) = devices
        code, out, err = operator.again()
        assert code == 0, err
        assert replaced.powers() == [False, False]
        assert replaced.statuses() == ["INACTIVE", "INACTIVE"]
        assert whole.enroll(replaced.name, replaced.key) == 403
        assert whole.findings() == []
        known = whole.cloud.ledger.device_of_token(replaced.name, token_hash(json.loads(out)["token"]))
        assert known is not None
        assert known.waits_for_another_key

    tell(operator.kill("replace", prepare=prepare, finish=finish))


def test_a_removal_is_finished_and_names_and_keys_are_free(operator: Operator, tell: Tell) -> None:
    whole = operator.whole
    devices: list[Enrolled] = []

    def prepare() -> None:
        devices[:] = [Enrolled(operator) for _ in range(2)]
        for each in devices:
            each.block()
        operator.words = ("remove", *(each.name for each in devices))

    def finish() -> None:
        code, _, err = operator.again()
        assert code == 0, err
        for each in devices:
            assert_free(each)

    def assert_free(removed: Enrolled) -> None:
        assert removed.powers() == [False, False]
        assert removed.statuses() == [None, None]
        assert whole.enroll(removed.name, removed.key) == 401
        assert operator.new_certificates() == set()
        assert whole.findings() == []
        # Name and key are free: each can become another's.
        now = int(time.time())
        whole.cloud.ledger.allow(new_name(), fingerprint=key_fingerprint(removed.key.public_key()), by="test", now=now)
        whole.cloud.ledger.invite(removed.name, token_hash="0" * 64, token_expires=now + 60, by="test", now=now)

    tell(operator.kill("remove", prepare=prepare, finish=finish))


class Waiting:
    """Devices that wait for the signature of a CA whose key is outside AWS."""

    def __init__(self, operator: Operator, count: int = 3) -> None:
        self.operator, self.whole = operator, operator.whole
        self.devices = [operator.device() for _ in range(count)]
        for name, key in self.devices:
            now = int(time.time())
            fingerprint = key_fingerprint(key.public_key())
            ledger = self.whole.cloud.ledger
            ledger.acquire_lease(name, fingerprint=fingerprint, lease="mine", lease_until=now + 25, now=now)
            ledger.queue_csr(name, csr=csr(key, name), lease="mine", now=now)

    def assert_all_have_one(self) -> None:
        """Each device has one active certificate, and AWS IoT holds no other that can do anything."""
        fleet = self.whole.fleet
        own = set()
        for name, key in self.devices:
            device = fleet.ledger.device(name)
            assert device is not None
            assert (device.state, device.unfinished, device.csr) == (State.ENROLLED, None, None)
            assert device.certificate_id is not None
            own.add(device.certificate_id)
            assert fleet.certificates_of(name) == {device.certificate_id: "ACTIVE"}
            assert fleet.policies_of(device.certificate_id) == [fleet.iot_policy]
            known = fleet.ledger.certificates(name)
            assert [each.state for each in known if each.state != "abandoned"] == ["active"]
            certificate = x509.load_pem_x509_certificate(
                next(each.pem for each in known if each.state == "active").encode()
            )
            assert self.operator.can_publish(name, key, certificate)
        assert self.operator.new_certificates() == own
        assert self.whole.findings() == []


@pytest.fixture
def ca_files(external: WholeFleet, tmp_path: Path) -> tuple[object, ...]:
    assert external.authority_key is not None
    certificate, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    certificate.write_bytes(external.authority.public_bytes(Encoding.PEM))
    key.write_bytes(external.authority_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return "--ca-cert", certificate, "--ca-key", key


def test_signing_is_finished_and_each_device_has_one_certificate(
    operator: Operator, ca_files: tuple[object, ...], tell: Tell
) -> None:
    waiting: list[Waiting] = []

    def prepare() -> None:
        waiting[:] = [Waiting(operator)]
        operator.words = ("sign", *ca_files, "--json")

    def finish() -> None:
        code, out, err = operator.again()
        assert code == 0, out + err
        waiting[0].assert_all_have_one()

    tell(operator.kill("sign", prepare=prepare, finish=finish))


def test_an_import_is_finished_and_each_device_has_one_certificate(
    operator: Operator, tmp_path: Path, tell: Tell
) -> None:
    waiting: list[Waiting] = []

    def prepare() -> None:
        waiting[:] = [Waiting(operator)]
        folder = tmp_path / new_name()
        folder.mkdir()
        for name, key in waiting[0].devices:
            (folder / f"{name}.pem").write_bytes(operator.signed(name, key).public_bytes(Encoding.PEM))
        operator.words = ("import", folder, "--json")

    def finish() -> None:
        code, out, err = operator.again()
        assert code == 0, out + err
        assert all(each["registered"] for each in json.loads(out)), out
        waiting[0].assert_all_have_one()

    tell(operator.kill("import", prepare=prepare, finish=finish))


def test_a_forced_retirement_is_finished_for_every_ca_of_the_name(kms: WholeFleet, tmp_path: Path, tell: Tell) -> None:
    """Three CAs have the name: the issuer was switched away from KMS, and back. AWS IoT takes each as active again."""
    operator = Operator(kms, tmp_path)
    iot, stolen = kms.cloud.iot, []
    for number in range(3):
        key = ec.generate_private_key(ec.SECP256R1())
        since = datetime.now(UTC) - timedelta(days=number)
        ca = ca_certificate(signer=key, common_name="stolen", organization="", validity_years=9, now=since)
        stolen.append(register_authority(kms.cloud, ca, key))
        pem = ca.public_bytes(Encoding.PEM).decode()
        kms.cloud.ledger.keep_certificate_authority(
            CertificateAuthority(
                name="stolen",
                key_arn=f"arn:{number}",
                subject="CN=stolen",
                certificate_pem=pem,
                verification_pem=pem,
                validity_years=9,
            )
        )
    others = {each["certificateId"] for each in iot.list_ca_certificates()["certificates"]} - set(stolen)

    def statuses(authorities: Any) -> set[tuple[str, ...]]:
        described = [iot.describe_ca_certificate(certificateId=each)["certificateDescription"] for each in authorities]
        return {(each["status"],) for each in described}

    def prepare() -> None:
        for each in stolen:
            iot.update_ca_certificate(certificateId=each, newStatus="ACTIVE")
        operator.words = ("ca", "retire", "stolen", "--force")

    def finish() -> None:
        code, _, err = operator.again()
        assert code == 0, err
        assert statuses(stolen) == {("INACTIVE",)}
        assert statuses(others) == {("ACTIVE",)}
        assert kms.findings() == []

    tell(operator.kill("ca retire --force", prepare=prepare, finish=finish))
