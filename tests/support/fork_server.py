"""Python processes without Python's start: a server imports once what its programs import, and forks for each run.

A run is a process of its own: environment, folder, descriptors, memory, signals and exit are its own, as with
`subprocess`; it costs 5 ms where an interpreter and its imports cost 200. Two things differ. Variables that Python, the
dynamic linker or OpenSSL read once when they start are the server's (`read_at_start`, `locale_of`). And modules are
imported already, and not taken apart at the end: a test of imports needs an interpreter of its own.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

REPOSITORY = Path(__file__).parents[2]

_REQUEST_BYTES = 200_000
_NUMBER = struct.Struct("=i")
"""How the server reports first a run's process id, and then its status as from os.waitpid."""


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that have had their effect before a program's first line, but for those of the locale."""
    prefixes = ("LD_", "PYTHON", "MALLOC_", "OPENSSL_CONF", "OPENSSL_MODULES")
    return {name: value for name, value in environment.items() if name.startswith(prefixes)}


def locale_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the locale, which are read at the start as well."""
    return {name: value for name, value in environment.items() if name.startswith(("LC_", "LANG"))}


class ForkedProcess:
    """A run, with the part of `subprocess.Popen` that tests use. `returncode` is None until it has ended."""

    def __init__(self, arguments: Sequence[str], report: int, stdout: IO[str], stderr: IO[str]) -> None:
        self.args = list(arguments)
        self._report = report
        self._stdout, self._stderr = stdout, stderr
        self.pid = self._reported()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it printed, once it has ended."""
        self.wait(timeout)
        return _content(self._stdout), _content(self._stderr)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        self.returncode = os.waitstatus_to_exitcode(self._reported())
        os.close(self._report)

    def _reported(self) -> int:
        message = os.read(self._report, _NUMBER.size)
        assert message, "the fork server has ended"
        number: int = _NUMBER.unpack(message)[0]
        return number


def _content(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()


class ForkServer:
    """Runs `python -m MODULE …` and `python -c PROGRAM …`, as often as it is told to, until it is closed.

    The server imports `modules` in `environment`, of which its runs see what was read at the start and no more.
    """

    def __init__(self, modules: Iterable[str], environment: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno()), *modules],
                cwd=REPOSITORY,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End the server. Runs that have not ended go on."""
        self._channel.close()
        self._process.wait(10)

    def start(
        self,
        arguments: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path = REPOSITORY,
        stdin: str = "",
        path: Path | None = None,
    ) -> ForkedProcess:
        """Begin a run with `env` and nothing else. `path` stands first in sys.path, where Python puts the folder."""
        words = [str(word) for word in arguments]
        request = {"arguments": words, "env": dict(env), "cwd": str(cwd), "path": path and str(path)}
        message = json.dumps(request).encode()
        assert len(message) < _REQUEST_BYTES
        given, out, err = (tempfile.TemporaryFile("w+") for _ in range(3))  # noqa: SIM115 - the process closes them
        ours, theirs = os.pipe()
        try:
            given.write(stdin)
            given.seek(0)
            socket.send_fds(self._channel, [message], [given.fileno(), out.fileno(), err.fileno(), theirs])
        finally:
            os.close(theirs)
            given.close()
        return ForkedProcess(words, ours, out, err)

    def run(
        self, arguments: Sequence[str | Path], *, timeout: float = 60, **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        """A run to its end; `options` are those of `start`. Raises subprocess.TimeoutExpired."""
        process = self.start(arguments, **options)
        try:
            out, err = process.communicate(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.wait(), out, err)


# In the server's process


@dataclass(frozen=True)
class _Request:
    arguments: list[str]
    env: dict[str, str]
    cwd: str
    path: str | None
    descriptors: list[int]
    """Its stdin, stdout, stderr, and where its end is reported."""


def _serve(channel: socket.socket) -> _Request | None:
    """Fork for each request. Returns twice as often as it is called: in each child its request, at the end None."""
    running: dict[int, tuple[int, int]] = {}  # pidfd: process id, where to report
    while True:
        ready, _, _ = select.select([channel.fileno(), *running], [], [])
        for descriptor in ready:
            if descriptor == channel.fileno():
                message, descriptors, _, _ = socket.recv_fds(channel, _REQUEST_BYTES, 4)
                if not message:
                    return None
                process = os.fork()
                if process == 0:
                    return _Request(**json.loads(message), descriptors=descriptors)
                *standard, report = descriptors
                for each in standard:
                    os.close(each)
                with contextlib.suppress(BrokenPipeError):
                    os.write(report, _NUMBER.pack(process))
                running[os.pidfd_open(process)] = process, report
            else:
                process, report = running.pop(descriptor)
                os.close(descriptor)
                with contextlib.suppress(BrokenPipeError):
                    os.write(report, _NUMBER.pack(os.waitpid(process, 0)[1]))
                os.close(report)


def _become(request: _Request) -> None:
    """Be the process that was asked for, and run its program. Raises what that raises."""
    for standard, given in enumerate(request.descriptors[:3]):
        os.dup2(given, standard)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    time.tzset()
    try:
        _run(request)
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit(end.code)
        raise


def _run(request: _Request) -> None:
    way, program, *rest = request.arguments
    if way == "-m":
        sys.path[0] = request.path or request.cwd
        sys.argv = [program, *rest]
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        assert way == "-c"
        sys.path[0] = request.path or ""
        sys.argv = ["-c", *rest]
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), main.__dict__)  # noqa: S102 - as `python -c` does


def _exit(code: int) -> NoReturn:
    """What Python does at its end, but for taking modules and objects apart: that would copy most of the server."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a program whose reader has gone sets it so
            stream.flush()
    ctypes.CDLL(None).exit(code)
    raise AssertionError


def _main(descriptor: str, *modules: str) -> None:
    with socket.socket(fileno=int(descriptor)) as channel:
        for module in modules:
            importlib.import_module(module)
        # What is there now is never garbage, and looking at it would copy it into each child.
        gc.freeze()
        request = _serve(channel)
    if request is not None:
        _become(request)


if __name__ == "__main__":
    _main(*sys.argv[1:])
