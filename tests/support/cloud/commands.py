"""The product's two commands as people type them: the operator's under her policy, the device's on its Pi."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pki.fingerprint import certificate_id
from sandbox.environment import as_operator
from sandbox.zymkey.device import SimulatedZymkey
from tests.support import programs
from tests.support.answer import Answer


@dataclass(frozen=True)
class Command:
    """A program of bin/ with an environment. Calling it runs it, and fails when it ends with another exit code.

    `change` is Python that changes the program before it begins.
    """

    program: str
    environment: Mapping[str, str]
    change: str = ""

    def __call__(self, *words: object, code: int | None = 0, **variables: str) -> Answer:
        environment = {**os.environ, **self.environment, **variables}
        done = programs.run(self.program, list(map(str, words)), env=environment, timeout=180, change=self.change)
        return judged(done.returncode, done.stdout, done.stderr, code)

    def start(self, *words: object, **variables: str) -> "subprocess.Popen[str]":
        """Run it in the background, as a process of this one; `ended` waits for it."""
        return subprocess.Popen(
            [self.program, *map(str, words)],
            env={**os.environ, **self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def ended(process: "subprocess.Popen[str]", *, code: int | None = 0, patience: float = 180) -> Answer:
        try:
            out, err = process.communicate(timeout=patience)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return judged(process.returncode, out, err, code)


def judged(ended: int, out: str, err: str, code: int | None) -> Answer:
    """The answer of a command that had to end with `code`."""
    assert "Traceback" not in err, err
    assert code in (None, ended), f"exit code {ended}\n{out}\n{err}"
    return Answer(code=ended, out=out, err=err)


class RaspberryPi:
    """A device: its name, its Zymkey and its state folder in a folder of its own."""

    def __init__(self, name: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.state = folder / "state"
        self.zymkey = SimulatedZymkey(folder / "zymkey")
        own = {"ZYMKEY_IOT_STATE": str(self.state), "ZYMKEY_IOT_NAME": name, "ZYMKEY_IOT_KEY": "zymkey:"}
        self.zymkey_iot = Command("zymkey-iot", {**environment, **self.zymkey.environment(), **own})

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        shown = self.zymkey_iot("key", "--json").json["publicKey"]
        key = load_pem_public_key(shown.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return key

    @property
    def fingerprint(self) -> str:
        return str(self.zymkey_iot("key", "--json").json["fingerprint"])

    @property
    def certificate_pem(self) -> bytes:
        return (self.state / "certificate.pem").read_bytes()

    @property
    def certificate_id(self) -> str:
        return certificate_id(x509.load_pem_x509_certificate(self.certificate_pem))

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Every file of the state folder: its content, and when it was changed."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.state.iterdir()}

    def beside(self, folder: str) -> "RaspberryPi":
        """The same device with another state folder."""
        twin = RaspberryPi(self.name, self.zymkey_iot.environment, self.folder)
        twin.state = self.folder / folder
        twin.zymkey_iot = Command("zymkey-iot", {**twin.zymkey_iot.environment, "ZYMKEY_IOT_STATE": str(twin.state)})
        return twin


def operator(env: Mapping[str, str]) -> Command:
    """`zymkey-fleet` as the sandbox's operator runs it."""
    return Command("zymkey-fleet", as_operator(env))


def until(what: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


def interrupt(process: "subprocess.Popen[str]") -> Answer:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    return Command.ended(process, code=130, patience=60)
