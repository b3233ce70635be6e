"""A device that costs little: the device's own code in this process, with a software key, for hundreds at a time."""

import argparse
import io
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from device.bootstrap import bootstrap
from device.renew import renew
from device.report import Report
from device.settings import Settings, load
from pki.fingerprint import certificate_id

# What the sandbox's shell has, and no card.
_OF_THE_NETWORK = ("CA_BUNDLE", "IOT_ENDPOINT", "IOT_HTTPS_PORT", "IOT_MQTT_PORT")


@dataclass(frozen=True, kw_only=True)
class CheapDevice:
    """`card` is the settings file of its SD card. What it says to its user is in `said`, a line a step."""

    name: str
    card: Path
    state: Path
    environment: Mapping[str, str]

    @classmethod
    def made(cls, name: str, *, cards: Path, folder: Path, env: Mapping[str, str]) -> "CheapDevice":
        own = {"ZYMKEY_IOT_STATE": str(folder / name), "ZYMKEY_IOT_KEY": "file:", "ZYMKEY_IOT_GIVE_UP_AFTER": "120s"}
        network = {variable: env[variable] for variable in _OF_THE_NETWORK if variable in env}
        return cls(
            name=name, card=cards / name / "zymkey-iot.toml", state=folder / name, environment={**network, **own}
        )

    def bootstrap(self) -> str:
        """From its card to its first message. Returns what it said."""
        said = io.StringIO()
        bootstrap(self._settings(continuing=True), Report(stream=said))
        return said.getvalue()

    def renew(self) -> str:
        """As `zymkey-iot renew` does. Returns the id of the new certificate."""
        certificate = renew(self._settings(), Report(stream=io.StringIO()), if_due=False)
        assert certificate is not None, f"{self.name} got no new certificate"
        return self.certificate_id or ""

    @property
    def certificate_id(self) -> str | None:
        """Of the certificate that is in use; None before the first one."""
        try:
            pem = (self.state / "certificate.pem").read_bytes()
        except FileNotFoundError:
            return None
        return certificate_id(x509.load_pem_x509_certificate(pem))

    def _settings(self, *, continuing: bool = False) -> Settings:
        return load(
            argparse.Namespace(),
            environ=self.environment,
            files=[self.card],
            continuing=continuing,
            warn=lambda _: None,
        )


def at_a_time(count: int, work: Callable[[CheapDevice], str], devices: Iterable[CheapDevice]) -> dict[str, Any]:
    """Do the work for all, `count` at a time. Returns what came of each, by name, in the order in which they ended."""
    ended: dict[str, Any] = {}

    def one(device: CheapDevice) -> None:
        ended[device.name] = work(device)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(one, device) for device in devices]:
            future.result()
    return ended
