"""Somebody who looks at AWS IoT and the ledger all the time: does each device that should work have what it takes?"""

import threading
from types import TracebackType
from typing import Any, Protocol, Self

from ledger import Ledger, State

# Between two looks: each costs the emulator a few calls for all devices together.
_PAUSE = 0.5


class WatchedDevice(Protocol):
    """Whoever has a name, and a certificate at this moment."""

    @property
    def name(self) -> str: ...

    @property
    def certificate_id(self) -> str: ...


class Watcher:
    """Looks until its block ends. `problems` has what was wrong at some time, `looks` how many there were.

    A device should work from `expect` until `release`: what it has in its state folder is an ACTIVE certificate, which
    the fleet's policy is attached to, and the ledger has it as enrolled. While it renews, it has one or the other.
    """

    def __init__(self, iot: Any, ledger: Ledger, policy: str) -> None:
        self._iot, self._ledger, self._policy = iot, ledger, policy
        self._expected: dict[str, WatchedDevice] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.problems: list[str] = []
        self.looks = 0

    def expect(self, device: WatchedDevice) -> None:
        with self._lock:
            self._expected[device.name] = device

    def release(self, names: list[str]) -> None:
        with self._lock:
            for name in names:
                del self._expected[name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> list[str]:
        """What is wrong now. Of a device that changed its certificate meanwhile, either one will do."""
        with self._lock:
            before = {name: device.certificate_id for name, device in self._expected.items()}
        active = {
            each["certificateId"]
            for page in self._iot.get_paginator("list_certificates").paginate(pageSize=250)
            for each in page["certificates"]
            if each["status"] == "ACTIVE"
        }
        permitted = {
            target.rpartition("/")[2]
            for page in self._iot.get_paginator("list_targets_for_policy").paginate(policyName=self._policy)
            for target in page["targets"]
        }
        enrolled = {each.name for each in self._ledger.devices() if each.state is State.ENROLLED}
        with self._lock:
            after = {name: device.certificate_id for name, device in self._expected.items() if name in before}
        works = active & permitted
        return [
            f"{name}: {'active' if name in enrolled else 'not enrolled'}, {before[name]} or {now} "
            f"{'is not active' if not {before[name], now} & active else 'has no policy'}"
            for name, now in after.items()
            if name not in enrolled or not {before[name], now} & works
        ]

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.problems += self.look()
            except Exception as error:  # noqa: BLE001 - a watcher that has died would see nothing, and nobody would know
                self.problems.append(f"the watcher failed: {error!r}")
                return
            self.looks += 1
            self._stop.wait(_PAUSE)
