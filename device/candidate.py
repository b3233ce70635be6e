"""What a device tries together and puts into use together: certificate, configuration, and its own settings."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# How long a turn is good after its moment, in seconds, and worth telling: the cloud lets nobody in who is later.
_TURN_IS_GOOD_FOR = 3600


@dataclass(frozen=True)
class Turn:
    """This device's turn in the fleet's queue, as the cloud has said it last."""

    come_first: int
    """How many devices came before it then."""

    until: datetime.datetime
    """Its moment, aware, by this machine's clock."""

    @property
    def is_past(self) -> bool:
        return self.seconds < -_TURN_IS_GOOD_FOR

    @property
    def seconds(self) -> float:
        """Until its moment; negative after it."""
        return (self.until - datetime.datetime.now(datetime.UTC)).total_seconds()

    def document(self) -> dict[str, Any]:
        return {"place": self.come_first, "until": self.until.isoformat(timespec="seconds")}

    @classmethod
    def from_document(cls, document: Any) -> "Turn | None":
        """Read what ``document`` made; None when it is anything else."""
        try:
            come_first, until = int(document["place"]), datetime.datetime.fromisoformat(document["until"])
        except (KeyError, TypeError, ValueError):
            return None
        return cls(come_first, until) if until.tzinfo is not None else None

    def __str__(self) -> str:
        """A phrase for a person."""
        first = "1 device came" if self.come_first == 1 else f"{self.come_first:,} devices came"
        return f"{first} first, and its turn is about {self.until:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """``device`` is what device.json holds. The other two are None as long as the cloud has not given them."""

    device: Mapping[str, Any] = field(repr=False)
    certificate: bytes | None = None
    configuration: bytes | None = None
    turn: Turn | None = None
    """Where the cloud has answered that this device has to wait for its turn."""

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
                turn=Turn.from_document(document.get("turn")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def to_json(self) -> bytes:
        document = {
            "device": dict(self.device),
            "certificate": _decoded(self.certificate),
            "configuration": _decoded(self.configuration),
        }
        if self.turn is not None:
            document["turn"] = self.turn.document()
        return (json.dumps(document, indent=2) + "\n").encode()


# The documents come back byte by byte, whatever they are.


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
