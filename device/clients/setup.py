"""What a client needs to know about this device."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from ..device import open_device
from ..keys import DeviceKey
from ..keys.command_line import CommandLineKey
from ..settings import Settings
from ..settings_files import FILES
from ..store import StateFolder
from ..tls import roots

PACKAGE = __name__.partition(".")[0]
"""The import name of this distribution: ``zymkey_iot``, or ``device`` in the repository."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A device after its bootstrap. The paths are absolute; its policy allows the topics."""

    settings: Settings
    key: DeviceKey
    by_hand: CommandLineKey
    certificate: Path
    roots: Path
    endpoint: str
    https_port: int
    mqtt_port: int
    https_topic: str
    mqtt_topic: str

    @property
    def name(self) -> str:
        return self.settings.name

    def call_of_this_device(self) -> str:
        """``this_device(…)`` with the settings that a program would not find: those from options and environment."""
        options = {
            "state": str(self.settings.state.absolute()),
            "key": self.settings.key,
            "ca_file": self.settings.ca_file and str(self.roots),
            "endpoint": self.settings.endpoint,
            "https_port": self.settings.https_port,
            "mqtt_port": self.settings.mqtt_port,
        }
        needed = {name: value for name, value in options.items() if value is not None and self.is_needed(name)}
        return f"this_device({', '.join(f'{name}={value!r}' for name, value in needed.items())})"

    def is_needed(self, setting: str) -> bool:
        """Whether a program has to be told this setting, since it would not find it where this run did."""
        found_anyway = ("default", str(StateFolder(self.settings.state).device_path), *map(str, FILES))
        return self.settings.sources[setting] not in found_anyway

    def environment(self) -> str:
        """Lines for the shell that set the variables which the engine reads; empty when it reads none."""
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.by_hand.environment.items())

    def how_to_run(self) -> str:
        """A comment for a Python program: which interpreter runs it, and as which user."""
        return (
            "# Save it as hello.py (not under the name of a library), and run it with\n"
            f"# {sys.executable}, as a user who may read {self.settings.state.absolute()} and use the key:\n"
            "# root, or zymkey-iot, the user of the service."
        )


def read_setup(settings: Settings) -> Setup:
    """Read the state folder and open the key.

    Raises:
        DeviceError: as ``open_device`` raises it.
    """
    device = open_device(settings)
    configuration = device.configuration
    return Setup(
        settings=settings,
        key=device.key,
        by_hand=device.key.by_hand(),
        certificate=StateFolder(settings.state).certificate_path.absolute(),
        roots=roots(settings.ca_file).absolute(),
        endpoint=configuration.data_endpoint,
        https_port=configuration.https_port,
        mqtt_port=configuration.mqtt_port,
        https_topic=configuration.test_topic(device.topic("{device}"), last="hello") or "TOPIC",
        mqtt_topic=configuration.test_topic(settings.name, last="hello") or "TOPIC",
    )
