"""The state folder: what the device keeps. A power cut during a write leaves the old file or the new one.

    certificate.pem       the certificate in use
    configuration.json    the answer to GET /configuration
    device.json           what the last bootstrap that worked has used: URL, name, key, and how servers are reached
    candidate.json        the candidate: the next three of these, while they are not tried; perhaps not complete yet
    request.pem           the certificate signing request: the same question each time, and signed once
    asked                 empty; its time is that of the last answer of the cloud to that question
    confirmed             the id of the certificate of which the cloud knows that it works, or need not
    promotion.json        what has been proved, on its way into use
    on-renew.pending      exists while hooks still have to run for a new certificate
    lock                  held while a process changes something here
    key.pem               the software key of ``file:``, if that is used

Every write goes to a temporary file beside its target; it is fsynced, then renamed, then the folder is fsynced.

The first three are put into use together: as one file, ``promotion.json``. From the moment that it is there, all three
are in use: reading looks there first, and whatever a power cut left to be copied into the three files is copied by the
next process that takes the lock.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .candidate import Candidate
from .errors import AlreadyRunning, StorageError
from .storage import TEMPORARY_PREFIX, fsync_folder, give_to_owner, lock_error, storage_errors, write_atomically

_READABLE, _SECRET = 0o644, 0o600
_SAME_HOUR = 3600.0


class StateFolder:
    """Reading needs no lock; every change is made under ``locked()``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.certificate_path = path / "certificate.pem"
        self.configuration_path = path / "configuration.json"
        self.device_path = path / "device.json"
        self.candidate_path = path / "candidate.json"
        self.request_path = path / "request.pem"
        self.asked_path = path / "asked"
        self.confirmed_path = path / "confirmed"
        self.promotion_path = path / "promotion.json"
        self.hooks_path = path / "on-renew.pending"
        self._lock = -1
        self._earlier_candidate_path = path / "certificate.pem.new"
        """A release before this one wrote the candidate's certificate here, and its settings over device.json."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder (0700) if it does not exist, and keep other processes from changing it.

        Raises:
            AlreadyRunning: another process holds the lock.
            StorageError: the folder cannot be made or locked.
        """
        with storage_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with storage_errors(self.path):
                give_to_owner(lock, self.path)
            self._lock = lock
            self._take_lock()
            yield
        finally:
            os.close(lock)

    @contextmanager
    def unlocked(self, *, patience: Callable[[], float]) -> Iterator[None]:
        """Inside of ``locked()``: let other processes change the folder for a while, then take the lock back.

        Args:
            patience: how many more seconds to wait for the lock, when another process holds it then.

        Raises:
            AlreadyRunning: it still holds the lock after that.
            StorageError: the folder cannot be locked any more.
        """
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        yield
        while True:
            try:
                return self._take_lock()
            except AlreadyRunning:
                if patience() <= 0:
                    raise
            time.sleep(1)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another zymkey-iot is running with the state folder {self.path}.",
                cure="wait until it has ended; if it is the service: systemctl status 'zymkey-iot*'",
            ) from None
        except OSError as error:
            raise lock_error(self.path, error) from None
        self._sweep()
        self._finish_promotion()

    def _sweep(self) -> None:
        """Remove temporary files that a killed process has left. Nothing reads them."""
        with storage_errors(self.path):
            for leftover in self.path.glob(f"{TEMPORARY_PREFIX}*"):
                leftover.unlink(missing_ok=True)

    def try_writing(self) -> None:
        """Write, fsync, rename and remove a file, as every change does.

        Raises:
            StorageError: one of that fails.
        """
        probe = self.path / f"{TEMPORARY_PREFIX}probe"
        with storage_errors(self.path):
            write_atomically(probe, bytes(4096), mode=0o600)
            probe.unlink(missing_ok=True)

    def certificate(self) -> bytes | None:
        """PEM of the certificate in use."""
        promoted = self._promoted()
        return self._read(self.certificate_path) if promoted is None else promoted.certificate

    def configuration(self) -> bytes | None:
        """The configuration in JSON, as the cloud sent it."""
        promoted = self._promoted()
        return self._read(self.configuration_path) if promoted is None else promoted.configuration

    def device(self) -> Mapping[str, Any]:
        """What the last bootstrap that worked has used (``kept_settings``); empty before the first.

        Raises:
            StorageError: the file cannot be read, or does not hold a JSON object.
        """
        promoted = self._promoted()
        if promoted is not None:
            return promoted.device
        data = self._read(self.device_path)
        try:
            document = json.loads(data) if data is not None else {}
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise StorageError(
                f"{self.device_path} is not a JSON object.",
                cure=f"remove the file (rm {self.device_path}), then bootstrap as at the first time: URL and --name",
            )
        return document

    def in_use(self) -> Candidate:
        """All three that are in use, to be compared with a candidate."""
        return Candidate(device=self.device(), certificate=self.certificate(), configuration=self.configuration())

    def candidate(self) -> Candidate | None:
        """What is not tried yet; None when there is nothing, or nothing whole."""
        data = self._read(self.candidate_path)
        if data is not None:
            return Candidate.from_json(data)
        pem = self._read(self._earlier_candidate_path)
        return None if pem is None else Candidate(device=self.device(), certificate=pem)

    def keep_candidate(self, candidate: Candidate) -> None:
        self._write(self.candidate_path, candidate.to_json(), mode=_SECRET)

    def drop_candidate(self) -> None:
        for path in (self.candidate_path, self._earlier_candidate_path):
            self._remove(path)

    def request(self) -> bytes | None:
        """PEM of the certificate signing request that was made last, if its certificate is not in use yet."""
        return self._read(self.request_path)

    def keep_request(self, pem: bytes) -> None:
        self._write(self.request_path, pem)

    def drop_request(self) -> None:
        self._remove(self.request_path)

    def asked_at(self) -> float | None:
        """When the cloud has answered last, in seconds since 1970; None when it never has, or nobody knows."""
        with storage_errors(self.asked_path):
            try:
                return self.asked_path.stat().st_mtime
            except FileNotFoundError:
                return None

    def note_asked(self) -> None:
        """Not fsynced: a power cut costs one question more. Within an hour the card is spared."""
        before = self.asked_at()
        if before is not None and 0 <= time.time() - before < _SAME_HOUR:
            return
        with storage_errors(self.asked_path):
            descriptor = os.open(self.asked_path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _READABLE)
            try:
                give_to_owner(descriptor, self.path)
                os.utime(descriptor)
            finally:
                os.close(descriptor)

    def confirmed(self) -> str | None:
        """The id of the certificate that was confirmed last; None when none was."""
        data = self._read(self.confirmed_path)
        return None if data is None else data.decode("ascii", "replace").strip()

    def keep_confirmed(self, certificate_id: str) -> None:
        self._write(self.confirmed_path, f"{certificate_id}\n".encode())

    def promote(self, proved: Candidate) -> None:
        """Put ``proved``, which is complete, into use: all of it, from the moment that this file is there."""
        self._write(self.promotion_path, proved.to_json(), mode=_SECRET)
        self._finish_promotion()

    def _promoted(self) -> Candidate | None:
        with storage_errors(self.promotion_path):
            try:
                return Candidate.from_json(self.promotion_path.read_bytes())
            except (FileNotFoundError, PermissionError):
                return None  # others than the owner may read the three files alone

    def _finish_promotion(self) -> None:
        """Copy what is in use already to where it belongs; also after a power cut, and again after another one."""
        promoted = self._promoted()
        if promoted is not None and promoted.certificate is not None and promoted.configuration is not None:
            if self._read(self.certificate_path) != promoted.certificate:
                # Before the certificate, because no program may be left with the old one for ever.
                self._write(self.hooks_path, b"")
            self._write(self.certificate_path, promoted.certificate)
            self._write(self.configuration_path, promoted.configuration)
            device = json.dumps(promoted.device, indent=2) + "\n"
            self._write(self.device_path, device.encode(), mode=_SECRET if promoted.has_secret else _READABLE)
            candidate = self.candidate()
            if candidate is not None and candidate.certificate == promoted.certificate:
                self.drop_candidate()
        self._remove(self.promotion_path)

    def hooks_are_pending(self) -> bool:
        return self._read(self.hooks_path) is not None

    def hooks_are_done(self) -> None:
        self._remove(self.hooks_path)

    def _read(self, path: Path) -> bytes | None:
        with storage_errors(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _write(self, path: Path, data: bytes, *, mode: int = _READABLE) -> None:
        """Write, unless the file holds the same data already: a run that changes nothing touches no file."""
        if self._read(path) == data:
            return
        with storage_errors(path):
            write_atomically(path, data, mode=mode)

    def _remove(self, path: Path) -> None:
        with storage_errors(path):
            if os.path.lexists(path):
                path.unlink()
                fsync_folder(self.path)
