"""The proof at the end of `service install`: the service's user reaches the key, or the install says why not."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from device.errors import KeyUnavailable
from device.service import installation, proof, systemctl
from device.service.description import describe, read_settings
from device.service.unit_files import PROOF, Service
from device.settings import DEFAULT_ON_RENEW

SERVICE = Service(command=Path("/bin/true"), groups=[], state=Path("/data/device"), on_renew=DEFAULT_ON_RENEW)


class Machine:
    """systemd that runs: `systemctl start` has doctor's answer written, as the unit would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "zymkey-iot-proof.json"
        self.unit = folder / "system" / PROOF
        self.seen = folder / "seen"

    def answers(self, text: str | None, *, code: int = 0) -> None:
        written = f"cat > {self.output} <<'END'\n{text}\nEND\n" if text is not None else ""
        (self.folder / "systemctl").write_text(
            f'#!/bin/sh\n[ "$1" = start ] || exit 0\ncp {self.unit} {self.seen}\n{written}'
            f"[ {code} = 0 ] || echo 'Job for {PROOF} failed.' >&2\nexit {code}\n"
        )
        (self.folder / "systemctl").chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    folder = tmp_path / "machine"
    (folder / "system").mkdir(parents=True)
    monkeypatch.setattr(systemctl, "_BOOTED", folder)
    monkeypatch.setattr(proof, "RUNTIME_UNITS", folder / "system")
    monkeypatch.delenv("SYSTEMD_OFFLINE")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Machine(folder)


def doctors(*checks: dict[str, str]) -> str:
    return json.dumps({"ok": True, "checks": list(checks)})


SIGNED = {"id": "signature", "status": "ok", "text": "made and verified in 40 ms"}
NO_BUS = {
    "id": "hsm",
    "status": "failed",
    "text": "this user may not use the Zymkey.",
    "try": "usermod -aG i2c zymkey-iot",
}


def prove(machine: Machine) -> str:
    return proof.prove_key(systemctl.Systemd(Path("/")), SERVICE)


def test_the_proof_is_a_unit_with_the_restrictions_of_the_others_and_is_gone_afterwards(machine: Machine) -> None:
    machine.answers(doctors(SIGNED))

    assert prove(machine) == "made and verified in 40 ms"

    seen = machine.seen.read_text()
    hardened = (Path(installation.__file__).parent / "units" / "hardened.conf").read_text().splitlines()
    assert {line for line in hardened if not line.startswith(("@", "#"))} <= set(seen.splitlines())
    assert 'ReadWritePaths="/data/device"' in seen
    assert 'ExecStart="/bin/true" doctor --only signature --json' in seen
    assert (machine.unit.exists(), machine.output.exists()) == (False, False)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (doctors(NO_BUS), 1, "does not reach its key: this user may not use the Zymkey."),
        (None, 1, f"cannot run: systemctl start {PROOF} failed: Job for {PROOF} failed."),
        ("half of a", 1, "cannot run"),
        ("[]", 0, "cannot run"),
        (doctors(SIGNED), 1, "fails: systemctl start"),
    ],
)
def test_a_service_that_does_not_reach_its_key_says_so_at_once(
    machine: Machine, answer: str | None, code: int, says: str
) -> None:
    machine.answers(answer, code=code)
    with pytest.raises(KeyUnavailable, match="the service is installed") as told:
        prove(machine)
    assert says in told.value.cause
    assert told.value.cure == (NO_BUS["try"] if answer == doctors(NO_BUS) else proof.SEE_WHY)
    assert (machine.unit.exists(), machine.output.exists()) == (False, False)


def test_an_install_proves_the_key_at_its_end_unless_the_bootstrap_makes_it(machine: Machine, tmp_path: Path) -> None:
    root = tmp_path / "system"
    (root / "etc").mkdir(parents=True)
    (root / "etc/zymkey-iot.toml").write_text('url = "https://abc.execute-api.eu-central-1.amazonaws.com"\n')
    settings = read_settings(Namespace(), root)
    service = describe(settings, command=Path("/bin/true"), groups=[], root=root)
    systemd = systemctl.Systemd(Path("/"))
    machine.answers(doctors(SIGNED))
    assert installation._proof(systemd, service, settings) == "the service reaches it: made and verified in 40 ms"
    software = read_settings(Namespace(key=f"file:{tmp_path}/none.pem"), root)
    machine.seen.unlink()
    assert "which the bootstrap makes" in installation._proof(systemd, service, software)
    assert not machine.seen.exists()
