"""Where the sandbox listens and where it keeps its files.

Ports and folder come from the environment, so that two sandboxes can stand beside each other. Everything
listens on loopback alone, except the emulator's MQTT broker, which offers no choice.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import SandboxError

REPOSITORY = Path(__file__).resolve().parent.parent

ACCOUNT = "000000000000"
REGION = "us-east-1"

# The emulator's root credentials. They open nothing but the emulator.
ROOT_ACCESS_KEY = "sandbox"
ROOT_SECRET_KEY = "sandbox"  # noqa: S105

# A name, not an address: TLS clients send no SNI for an address, and AWS IoT wants SNI.
DATA_ENDPOINT_HOST = "localhost"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Ports of one sandbox and the folder that holds its state, logs and certificates."""

    gateway_port: int = 4566
    https_port: int = 8443
    mqtt_port: int = 8883
    directory: Path = REPOSITORY / "build" / "sandbox"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Addresses":
        """Read SANDBOX_GATEWAY_PORT, SANDBOX_HTTPS_PORT, SANDBOX_MQTT_PORT and SANDBOX_DIRECTORY."""
        return cls(
            gateway_port=_port(environment, "SANDBOX_GATEWAY_PORT", cls.gateway_port),
            https_port=_port(environment, "SANDBOX_HTTPS_PORT", cls.https_port),
            mqtt_port=_port(environment, "SANDBOX_MQTT_PORT", cls.mqtt_port),
            directory=Path(environment.get("SANDBOX_DIRECTORY", cls.directory)).absolute(),
        )

    def to_environment(self) -> dict[str, str]:
        """The variables that ``from_environment`` reads, for a process of this sandbox."""
        return {
            "SANDBOX_GATEWAY_PORT": str(self.gateway_port),
            "SANDBOX_HTTPS_PORT": str(self.https_port),
            "SANDBOX_MQTT_PORT": str(self.mqtt_port),
            "SANDBOX_DIRECTORY": str(self.directory),
        }

    @property
    def gateway(self) -> str:
        """The emulator's address, for every AWS service."""
        return f"https://127.0.0.1:{self.gateway_port}"

    @property
    def environment_file(self) -> Path:
        """The shell file that points commands at this sandbox: build/sandbox.env."""
        return self.directory.with_suffix(".env")


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, str(default))
    if not (value.isdecimal() and 0 < int(value) < 2**16):
        raise SandboxError(f"{name} is {value!r}, but must be a port number.")
    return int(value)
