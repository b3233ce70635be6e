"""What a device tries together and puts into use together: certificate, configuration, and its own settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """``device`` is what device.json holds. The other two are None as long as the cloud has not given them."""

    device: Mapping[str, Any] = field(repr=False)
    certificate: bytes | None = None
    configuration: bytes | None = None

    @property
    def has_secret(self) -> bool:
        """Whether the settings hold a proxy with credentials."""
        return "@" in str(self.device.get("proxy", ""))

    @classmethod
    def from_json(cls, data: bytes) -> "Candidate | None":
        """Read what ``to_json`` wrote; None when it is anything else."""
        try:
            document = json.loads(data)
            device = document["device"]
            if not isinstance(device, dict):
                return None
            return cls(
                device=device,
                certificate=_encoded(document["certificate"]),
                configuration=_encoded(document["configuration"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def to_json(self) -> bytes:
        document = {
            "device": dict(self.device),
            "certificate": _decoded(self.certificate),
            "configuration": _decoded(self.configuration),
        }
        return (json.dumps(document, indent=2) + "\n").encode()


# The documents come back byte by byte, whatever they are.


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
