"""One command for many devices: the work for each, the answers as they come, how far it is, and what failed and why.

A command that gets one name alone does not come here: its answer is its own, as it always was.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from fleet.answers import Answers, answers
from fleet.cures import SEE_ALL
from fleet.errors import FleetError, Interrupted, Refused
from fleet.output import note, print_error
from fleet.progress import Progress
from fleet.side_by_side import Outcome, SideBySide
from ledger import Device

if TYPE_CHECKING:
    from fleet.deployment import Deployment
    from fleet.selection import Selection

Subject = TypeVar("Subject")

# So many failures are told again at the end; all are among the answers.
_MOST_TOLD_AGAIN = 10
REASON = "reason"


def is_alone(selection: Selection, arguments: argparse.Namespace) -> bool:
    """Whether one device was named, so that its answer is a sentence, or one JSON object."""
    return selection.is_single and not arguments.dry_run and not arguments.csv


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of one.

    Attributes:
        record: for programs. Its names are the same for each, and among them is what the command calls its subjects by.
        what: for people, such as "blocked" or "blocked already": the answers are counted by it.
        detail: for people: the further cells of the table.
    """

    record: Mapping[str, Any]
    what: str
    detail: Sequence[str | None] = ("",)


@dataclass(frozen=True, kw_only=True)
class Many:
    """What a command does to many, and how it tells of them.

    Attributes:
        called: what one is called by: its name, or a fingerprint.
        key: the name of that in a record.
        plural: what they are, such as "devices".
        columns: of the CSV, and the names in a record; ``reason`` comes after them.
        heads: of the table. Behind what it is called by and what came of it: those of ``Done.detail``. A failure stands
            in the first of these.
    """

    key: str = "name"
    plural: str = "devices"
    columns: Sequence[str] = ()
    heads: Sequence[str] = ("NAME", "RESULT", "DETAIL")

    def run(
        self,
        subjects: Iterable[Subject],
        work: Callable[[Subject], Done],
        arguments: argparse.Namespace,
        *,
        called: Callable[[Subject], str] = str,
    ) -> int:
        """Do the work for each, some at a time, and tell what came of it. Returns the exit code: the first failure's.

        Args:
            work: doing it twice is doing it once. What it raises as a ``FleetError``, or AWS and the ledger raise, is
                told, and stops no other.
            arguments: with the options of ``fleet.answers.add_formats``.
            called: what is told of a subject that failed.

        Raises:
            FleetError: what would fail for all has failed for the first one.
        """
        total = len(subjects) if isinstance(subjects, Sized) else None
        side_by_side: SideBySide[Subject, Done] = SideBySide(work)
        told = _Told(self.plural)
        with Progress(self.plural, total=total, wanted=not arguments.json) as progress:
            to = answers(arguments, heads=self.heads, columns=(*self.columns, REASON), progress=progress)
            try:
                for outcome in side_by_side.outcomes(subjects):
                    self._tell(outcome, called(outcome.subject), to)
                    told.count(outcome, called(outcome.subject))
                    progress.advance(failed=outcome.failure is not None)
            except KeyboardInterrupt:
                side_by_side.stopped_by = Interrupted()
            finally:
                # Of nothing at all, an error is the only answer.
                if not (to.is_empty and side_by_side.stopped_by):
                    to.end()
        stopped_by = side_by_side.stopped_by
        if stopped_by is None:
            told.sum_up()
            return told.exit_code
        told.sum_up(of=total, is_all=False)
        if arguments.json and not to.is_empty:
            print_error(stopped_by, as_json=False)  # the list is the one JSON document on standard output
            return stopped_by.exit_code
        raise stopped_by

    def _tell(self, outcome: Outcome[Any, Done], called: str, to: Answers) -> None:
        done, failure = outcome.result, outcome.failure
        if done is not None:
            to.add({**done.record, REASON: None}, [called, done.what, *done.detail])
        elif failure is not None:
            nothing = dict.fromkeys(self.columns)
            cells = [called, _outcome(failure), failure.in_one_line, *[None] * (len(self.heads) - 3)]
            to.add({**nothing, self.key: called, REASON: failure.in_one_line}, cells)


class _Told:
    """What there is to say at the end."""

    def __init__(self, plural: str) -> None:
        self._plural = plural
        self._counts: Counter[str] = Counter()
        self._failures: list[tuple[str, FleetError]] = []
        self._failed: Counter[str] = Counter()
        self.exit_code = 0

    def count(self, outcome: Outcome[Any, Done], called: str) -> None:
        if outcome.result is not None:
            self._counts[outcome.result.what] += 1
        if outcome.failure is not None:
            self._failed[_outcome(outcome.failure)] += 1
            self.exit_code = self.exit_code or outcome.failure.exit_code
            if len(self._failures) < _MOST_TOLD_AGAIN:
                self._failures.append((called, outcome.failure))

    def sum_up(self, *, of: int | None = None, is_all: bool = True) -> None:
        """Say it on standard error."""
        failed = self._failed.total()
        told = self._counts.total() + failed
        parts = [f"{what} {count}" for what, count in (*self._counts.items(), *self._failed.items())]
        for called, failure in self._failures:
            note(f"{called}: {failure.in_one_line}")
        if failed > len(self._failures):
            note(f"and {failed - len(self._failures)} more, which the answers have")
        if is_all:
            note(f"Of {told} {self._plural}: {', '.join(parts)}." if told else f"No {self._plural}.")
        else:
            total = f" of {of}" if of is not None else ""
            detail = f" ({', '.join(parts)})" if told else ""
            note(f"Stopped after {told}{total} {self._plural}{detail}; the same command goes on from there.")


def _outcome(failure: FleetError) -> str:
    return "refused" if isinstance(failure, Refused) else "failed"


# With --dry-run, of every command on devices. ``would`` is what it would do, or nothing.
DRY_RUN = Many(columns=("name", "state", "would"))


def foreseen(device: Device, would: str | None, *, otherwise: str = "nothing to do") -> Done:
    """What --dry-run says of one device.

    Args:
        would: such as "block it"; None when there is nothing to do.
        otherwise: what is said then.
    """
    record = {"name": device.name, "state": device.state, "would": would}
    return Done(record=record, what="would change" if would else "would stay", detail=[would or otherwise])


def existing(name: str, deployment: Deployment) -> Device:
    """The device as it is.

    Raises:
        Refused: there is none.
    """
    device = deployment.ledger.device(name)
    if device is None:
        raise Refused(f"There is no device {name!r}.", cure=SEE_ALL)
    return device
