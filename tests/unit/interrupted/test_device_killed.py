"""kill -9 of bootstrap and renew at random moments: the next run finishes the job, with one identity."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.token import token_hash
from pki.fingerprint import certificate_id
from tests.support.aws_fleet import new_name
from tests.support.fork_server import ForkedProcess
from tests.support.interrupted.moments import Kills, killed_at_random
from tests.support.interrupted.whole_fleet import WholeFleet

TOKEN = "t" * 43
DAY = 86_400


class Device:
    """One device after another, each with a folder of its own."""

    def __init__(self, fleet: WholeFleet, folder: Path) -> None:
        self.whole = fleet
        self._folder = folder
        self.name = ""
        self.before: set[str] = set()
        self.said = ""

    @property
    def state(self) -> Path:
        return self._folder / self.name

    def become_another(self) -> None:
        """From here on it is another device, which is invited."""
        if self.name:
            shutil.rmtree(self.state, ignore_errors=True)
        self.name = new_name()
        now = int(time.time())
        self.whole.cloud.ledger.invite(
            self.name, token_hash=token_hash(TOKEN), token_expires=now + 3600, by="test", now=now
        )
        self.before = self.whole.fleet.everything()

    def start(self, *words: str) -> ForkedProcess:
        return self.whole.device(
            *words, ZYMKEY_IOT_STATE=str(self.state), ZYMKEY_IOT_NAME=self.name, ZYMKEY_IOT_TOKEN=TOKEN
        )

    def run(self, *words: str) -> int:
        process = self.start(*words)
        out, err = process.communicate(60)
        assert "Traceback" not in err
        assert process.returncode != 1, err
        self.said = out + err
        return process.returncode

    def phase(self) -> str:
        """The files that are there, and how far the ledger says that it is."""
        paths = self.state.iterdir() if self.state.exists() else []
        names = sorted(path.name for path in paths if not path.name.startswith(".tmp-") and path.name != "lock")
        device = self.whole.cloud.ledger.device(self.name)
        assert device is not None
        return f"{'+'.join(names) or 'no file'}, {device.state}{' (unfinished)' if device.unfinished else ''}"

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.state / "certificate.pem").read_bytes())

    def new_certificates(self) -> set[str]:
        """The ids of what AWS IoT has got since the device began."""
        return {each for each in self.whole.fleet.everything() - self.before if len(each) == 64}

    def assert_at_home(self, *superseded: str) -> None:
        """One certificate is its own, in the ledger, in AWS IoT and on its disk; it may do what it may, and no more."""
        fleet = self.whole.fleet
        own = certificate_id(self.certificate)
        assert self.new_certificates() == {own}
        assert fleet.certificates_of(self.name) == dict.fromkeys([own, *superseded], "ACTIVE")
        assert fleet.policies_of(own) == [fleet.iot_policy]
        device = fleet.ledger.device(self.name)
        assert device is not None
        assert (device.state, device.certificate_id, device.unfinished) == ("enrolled", own, None)
        states = {each.certificate_id: each.state for each in fleet.ledger.certificates(self.name)}
        assert states == {own: "active", **dict.fromkeys(superseded, "superseded")}
        assert self.whole.findings() == []
        assert [path.name for path in self.state.glob("*.new*")] == []
        assert self.run("publish", "devices/{device}/state", "1") == 0, self.said
        assert self.run("publish", "devices/another/state", "1") == 10, self.said


def test_a_bootstrap_is_finished_with_one_identity(
    kms: WholeFleet, tmp_path: Path, tell: Callable[[Kills], None]
) -> None:
    device = Device(kms, tmp_path / "devices")

    def finish() -> None:
        assert device.run("bootstrap") == 0, device.said
        device.assert_at_home()

    tell(
        killed_at_random(
            "bootstrap",
            prepare=device.become_another,
            start=lambda: device.start("bootstrap"),
            wait_for_work=lambda: None,
            phase=device.phase,
            finish=finish,
        )
    )


def test_a_renewal_is_finished_with_one_new_certificate(
    kms: WholeFleet, tmp_path: Path, tell: Callable[[Kills], None]
) -> None:
    device = Device(kms, tmp_path / "devices")
    old = ""

    def prepare() -> None:
        nonlocal old
        device.become_another()
        kms.set_clock(-300 * DAY)
        assert device.run("bootstrap") == 0, device.said
        kms.set_clock(0)
        old = certificate_id(device.certificate)
        device.before = kms.fleet.everything()

    def finish() -> None:
        assert device.run("renew") in (0, 13), device.said
        assert certificate_id(device.certificate) != old
        device.assert_at_home(old)

    def phase() -> str:
        in_use = "new" if certificate_id(device.certificate) != old else "old"
        return f"{in_use}: {device.phase()}"

    tell(
        killed_at_random(
            "renew",
            prepare=prepare,
            start=lambda: device.start("renew"),
            wait_for_work=lambda: None,
            phase=phase,
            finish=finish,
        )
    )


def test_what_these_tests_rest_on(kms: WholeFleet, tmp_path: Path) -> None:
    """The data endpoint tells an active certificate from one that is switched off, and its own topics from others'."""
    device = Device(kms, tmp_path / "devices")
    device.become_another()
    assert device.run("bootstrap") == 0, device.said
    key = serialization.load_pem_private_key((device.state / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    topic = f"devices/{device.name}/state"

    assert kms.can_publish(device.certificate, key, topic, tmp_path)
    assert not kms.can_publish(device.certificate, key, "devices/another/state", tmp_path)
    kms.cloud.iot.update_certificate(certificateId=certificate_id(device.certificate), newStatus="INACTIVE")
    assert not kms.can_publish(device.certificate, key, topic, tmp_path)
