"""A simulated Zymkey for tests and demonstrations: count its signatures, break it, unplug it, swap it.

The device is a directory (see state.h), so this needs no library loaded and works on programs that
are already running. Programs find the device through ``environment()``.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from sandbox.zymkey.build import DEFAULT_STATE, OUTPUT

SLOTS = 3


@dataclass(frozen=True)
class Signature:
    """One signature that the device made: with which slot, for which process."""

    slot: int
    process: int
    caller: str


class SimulatedZymkey:
    """The device whose keys and faults are in the directory ``state``, which is made when it does not exist."""

    def __init__(self, state: Path = DEFAULT_STATE) -> None:
        self.state = state.absolute()
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """What a program's environment needs to find this device, through the library or the engine."""
        return {"ZYMKEY_SIMULATOR_DIR": str(self.state), "OPENSSL_ENGINES": str(OUTPUT)}

    def signatures(self) -> int:
        """How many signatures were made since the last ``reset()``, by all programs together."""
        return len(self.record())

    def record(self) -> list[Signature]:
        """Every signature since the last ``reset()``, oldest first."""
        try:
            lines = (self.state / "signatures").read_text().splitlines()
        except FileNotFoundError:
            return []
        fields = [line.split(" ", 2) for line in lines]
        return [Signature(slot=int(slot), process=int(pid), caller=caller) for slot, pid, caller in fields]

    def fail(self, code: int = -110) -> None:
        """Let every call after open return ``code``, a negative errno; -110 is a bus that does not answer."""
        self._set("fail", str(code))

    def delay(self, milliseconds: int) -> None:
        """Let every call after open take this much longer."""
        self._set("delay_ms", str(milliseconds))

    def absent(self) -> None:
        """Unplug it: opening fails, and so does every call of a program that has it open."""
        self._set("absent", "")

    def restore(self) -> None:
        """End all faults."""
        for fault in ("fail", "delay_ms", "absent"):
            (self.state / fault).unlink(missing_ok=True)

    def reset(self) -> None:
        """End all faults and count from zero. The keys stay: it is the same device."""
        self.restore()
        (self.state / "signatures").unlink(missing_ok=True)

    def swap(self) -> None:
        """Put another device in its place: new keys in every slot, on first use."""
        for slot in range(SLOTS):
            (self.state / f"slot-{slot}.pem").unlink(missing_ok=True)

    def put_key(self, slot: int, pem: bytes) -> None:
        """Put a private key (PEM) into a slot, also one that a Zymkey 4 never has but an HSM6 may."""
        self._set(f"slot-{slot}.pem", pem.decode())

    def _set(self, name: str, content: str) -> None:
        """Replace a file whole: a program may read it at any moment."""
        fresh = self.state / f".{name}.{os.getpid()}"
        fresh.write_text(content)
        fresh.chmod(0o600)
        fresh.replace(self.state / name)
