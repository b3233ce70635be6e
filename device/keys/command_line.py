"""How the commands ``openssl`` and ``curl`` use a key: the vendor's documented way.

    openssl … -engine zymkey_ssl -keyform engine -key nonzymkey.key
    curl    … --engine zymkey_ssl --key-type ENG --key nonzymkey.key

The engine of a Zymkey takes the slot from ZK_SSL_SLOT and ignores the key's name; the name is a placeholder, because
the commands require one. Without --key-type, curl looks for a file of that name and exits with 58.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

ZYMKEY_ENGINE = "zymkey_ssl"
ZYMKEY_PLACEHOLDER = "nonzymkey.key"
PKCS11_ENGINE = "pkcs11"


@dataclass(frozen=True, kw_only=True)
class CommandLineKey:
    """A key as arguments and environment variables. Nothing in here is secret."""

    name: str
    """A file, or the engine's name for the key."""

    engine: str | None = None
    """The OpenSSL engine's id; None for a key in a file."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the engine reads."""

    descriptors: tuple[int, ...] = ()
    """Open files that the command has to inherit, such as a file with a PIN."""

    def openssl(self, option: str = "-key") -> list[str]:
        """Arguments for ``openssl req`` (``-key``), ``openssl pkeyutl`` (``-inkey``)."""
        engine = ["-engine", self.engine, "-keyform", "engine"] if self.engine else []
        return [*engine, option, self.name]

    def openssl_in(self) -> list[str]:
        """Arguments for ``openssl pkey``, which has other names for the same options."""
        engine = ["-engine", self.engine, "-inform", "engine"] if self.engine else []
        return [*engine, "-in", self.name]

    def curl(self) -> list[str]:
        engine = ["--engine", self.engine, "--key-type", "ENG"] if self.engine else []
        return [*engine, "--key", self.name]

    def full_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


def zymkey_on_command_line(slot: int) -> CommandLineKey:
    return CommandLineKey(name=ZYMKEY_PLACEHOLDER, engine=ZYMKEY_ENGINE, environment={"ZK_SSL_SLOT": str(slot)})
