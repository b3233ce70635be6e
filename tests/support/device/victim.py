"""A device that works already, at a server that means harm: with little patience, and its memory measured."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device.errors import EXIT_CODES
from tests.support.device.hostile_server import HostileServer
from tests.support.fork_server import locale_of, read_at_start
from tests.support.programs import fork_server

PATIENCE = 0.2
"""Seconds: the time-out of a single wait that the command is given in the place of its own."""
WHOLE = 3 * PATIENCE
"""Seconds: what a whole request may then take, see ``device.https.WHOLE``."""
SLACK = 1.5
"""Seconds: what a run takes besides, on a busy machine."""
MEMORY = 24 << 10
"""kB that a run may need beside what it has when it begins."""
DEEP = 100_000
"""Far more levels than Python's recursion has."""

_PROGRAM = """
import os, sys
from device import curl_exchange, https, mqtt_publish
https.TIMEOUT = https.request.__kwdefaults__["timeout"] = {patience}
curl_exchange.TIMEOUT = mqtt_publish.TIMEOUT = {patience} * https.WHOLE
from device.cli import main
def kilobytes(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))
open("/proc/self/clear_refs", "w").write("5")  # the peak is that of now, see proc(5)
before = kilobytes("VmRSS")
code = main()
with open(os.environ["TOLD"], "w") as told:
    told.write(str(kilobytes("VmHWM") - before))
sys.exit(code)
"""


@dataclass(frozen=True)
class Ending:
    """How a run ended: what it printed, how long it took (seconds) and what memory it needed (kB)."""

    code: int
    out: str
    err: str
    seconds: float
    memory: int


class Victim:
    """A device with a state folder in `folder`; `variables` are in the environment of its command."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._variables = {**variables, "HOME": str(folder), "ZYMKEY_IOT_STATE": str(self.state)}

    def run(self, *words: str, **variables: str) -> Ending:
        """Run the command, with its own variables and what every process has."""
        told = self.folder / "told"
        given = {"PATH": os.environ["PATH"], "TOLD": str(told), **read_at_start(os.environ), **locale_of(os.environ)}
        env = {**given, **self._variables, **variables}
        began = time.monotonic()
        program = _PROGRAM.format(patience=PATIENCE)
        done = fork_server("zymkey-iot", env).run(["-c", program, *words], env=env, timeout=20)
        seconds = time.monotonic() - began
        assert told.exists(), done.stderr
        return Ending(done.returncode, done.stdout, done.stderr, seconds, int(told.read_text()))

    def kept(self) -> dict[str, bytes]:
        """The files that a working device has, as they are now."""
        names = ("certificate.pem", "configuration.json", "device.json", "key.pem")
        return {name: (self.state / name).read_bytes() for name in names}

    def copy(self, folder: Path) -> "Victim":
        """The same device with another state folder."""
        shutil.copytree(self.state, folder / "state")
        return Victim(folder, self._variables)


_DOCUMENTED = {code for code, _ in EXIT_CODES} - {1}


def assert_printable(ending: Ending) -> None:
    """Nothing that it printed could do anything to a terminal."""
    for line in (ending.out + ending.err).split("\n"):
        assert line.isprintable(), line


def assert_told(ending: Ending, *codes: int, requests: int = 1) -> None:
    """It failed with one of these exit codes and a sentence, soon, in little memory, and harmed no terminal.

    `requests` is how many servers it may have waited for.
    """
    assert ending.code in codes, (ending.code, ending.err)
    assert set(codes) <= _DOCUMENTED - {0}
    lines = ending.err.splitlines()
    assert lines[0].startswith("zymkey-iot: "), lines
    assert lines[0].endswith("."), lines
    assert len(lines) <= 2, lines
    assert len(ending.err) < 1500, lines
    assert_printable(ending)
    assert ending.seconds < requests * WHOLE + SLACK, f"{ending.seconds} s"
    assert ending.memory < MEMORY, f"{ending.memory} kB"


TOKEN = "the-one-time-token"


def attack(victim: Victim, hostile: HostileServer, *codes: int, requests: int = 1, **variables: str) -> Ending:
    """Send the device with a token to the hostile server. It ends with one of the codes, and keeps what it had."""
    before = victim.kept()
    ending = victim.run("bootstrap", hostile.url, ZYMKEY_IOT_TOKEN=TOKEN, **variables)
    assert_told(ending, *codes, requests=requests)
    assert TOKEN not in ending.out + ending.err
    assert victim.kept() == before
    assert not list(victim.state.glob(".tmp-*"))
    return ending
