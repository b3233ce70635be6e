"""The functions' own turns (``functions.turns.await_turn``), with the ledger's part of them in memory."""

from types import SimpleNamespace
from typing import Any, cast

from functions.authorize import KnownKey
from functions.deployment import Deployment
from functions.refusals import Queued
from functions.turns import await_turn
from ledger import Device, Turns
from pki.issuers import KMS

from .cloud import Turn

EPOCH = 1_800_000_000
"""When the simulation starts, in seconds since 1970."""


class _Counter:
    """The counter, and each device's turn: what ``ledger.turns`` keeps in the table."""

    def __init__(self) -> None:
        self._counter: int | None = None

    def take_turn(self, turns: Turns, *, now: int) -> int:
        turn, self._counter = turns.take(self._counter, now)
        return turn

    def keep_turn(self, device: Any, turn: int) -> None:
        device.turn = turn


class TurnsInMemory:
    """Turns as the functions of one deployment hand them out."""

    def __init__(self) -> None:
        choices = SimpleNamespace(issuer=KMS, registrations_per_second=None)
        self._deployment = cast(Deployment, SimpleNamespace(choices=choices, ledger=_Counter()))
        self._devices: dict[int, SimpleNamespace] = {}

    def turn(self, device: int, now: float) -> Turn | None:
        known = self._devices.get(device)
        if known is None:
            known = self._devices[device] = SimpleNamespace(turn=None, unfinished=None)
        key = KnownKey(device=cast(Device, known))
        try:
            turn = await_turn(key, fingerprint="", now=EPOCH + now, deployment=self._deployment)
        except Queued as queued:
            return Turn(int(queued.headers["Retry-After"]), int(queued.headers["Zymkey-Place"]))
        if turn is not None:
            known.turn = turn
        # The certificate is recorded before it is registered, and from then on the device waits for no turn.
        known.unfinished = "recorded"
        return None

    def done(self, device: int) -> None:
        self._devices.pop(device, None)
