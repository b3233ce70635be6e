"""A run that is forked is like a process of its own: most tests of the device rest on it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.device.pi import Pi
from tests.support.programs import fork_server

PORTRAIT = """
import json, locale, os, signal, subprocess, sys, threading, time
print(json.dumps({
    "name": __name__,
    "arguments": sys.argv,
    "path": sys.path,
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "environment of its children": subprocess.check_output(["env", "-0"], text=True),
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "encodings": [sys.stdin.encoding, sys.stdout.encoding, sys.stderr.encoding, locale.getlocale()],
    "buffering": [sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout.isatty()],
    "time zone": time.tzname,
    "threads": threading.active_count(),
    "umask": os.umask(0o77),
    "group": os.getpgrp(),
    "input": sys.stdin.read(),
}))
"""


def both(pi: Pi, *arguments: str, **options: str) -> list["subprocess.CompletedProcess[str]"]:
    """The same run as a process of its own, and forked."""
    return [pi.python(*arguments, **options), pi.forked(*arguments, **options)]


def test_it_has_nothing_of_the_servers_and_all_that_it_was_given(pi: Pi) -> None:
    interpreted, forked = both(pi, "-c", PORTRAIT, "one", "two words", stdin="given\n", GIVEN="ü", TZ="Asia/Tokyo")

    assert (interpreted.returncode, interpreted.stderr) == (0, "")
    assert json.loads(forked.stdout) == json.loads(interpreted.stdout)
    assert json.loads(forked.stdout)["input"] == "given\n"
    assert json.loads(forked.stdout)["environment"]["GIVEN"] == "ü"


@pytest.mark.parametrize(
    "program",
    [
        "print('all is well')",
        "raise SystemExit",
        "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)",
        "import sys; sys.exit('a sentence')",
        "import atexit, sys; atexit.register(print, 'at exit'); sys.exit(3)",
        "import sys, threading; threading.Timer(0.1, print, ['late']).start(); sys.exit(4)",
        "import os; os.write(1, b'direct'); os._exit(5)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import sys; sys.stdout = None; sys.exit(1)",
    ],
)
def test_it_ends_as_an_interpreter_ends(pi: Pi, program: str) -> None:
    interpreted, forked = both(pi, "-c", program)

    assert outcome(forked) == outcome(interpreted)


def outcome(done: "subprocess.CompletedProcess[str]") -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


def test_an_exception_is_shown_and_ends_it_with_1(pi: Pi) -> None:
    interpreted, forked = both(pi, "-c", "1 / 0")

    assert interpreted.returncode == forked.returncode == 1
    assert (
        interpreted.stderr.splitlines()[-1] == forked.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    )


def test_ctrl_c_interrupts_one_run_and_no_other() -> None:
    program = (
        # A shell's job in the background ignores Ctrl-C, and what it starts inherits that.
        "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n    print(1, flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit(130)"
    )
    first, second = (fork_server("zymkey-iot").start(["-c", program], env=os.environ) for _ in range(2))
    time.sleep(0.1)
    assert first.poll() is None

    first.send_signal(signal.SIGINT)

    assert first.wait(10) == 130
    assert second.poll() is None
    second.kill()
    assert second.wait(10) == -signal.SIGKILL


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    program = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    with pytest.raises(subprocess.TimeoutExpired):
        fork_server("zymkey-iot").run(["-c", program], env=os.environ, timeout=0.3)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_is_read_when_a_process_starts_is_left_to_an_interpreter(pi: Pi) -> None:
    program = "import sys; print(sys.flags.utf8_mode, 'device.cli' in sys.modules)"

    assert pi.forked("-c", program).stdout == f"{sys.flags.utf8_mode} True\n"
    assert pi.forked("-c", program, PYTHONUTF8="1").stdout == "1 False\n"


def test_another_locale_has_another_server(pi: Pi) -> None:
    program = (
        "import locale, sys; print(locale.setlocale(locale.LC_CTYPE), sys.stdout.encoding, 'device.cli' in sys.modules)"
    )

    for name in ("C.UTF-8", "POSIX"):
        interpreted, forked = both(pi, "-c", program, LC_ALL=name)
        assert forked.stdout == interpreted.stdout.replace("False", "True")


def alike(text: str) -> str:
    """What a command says, without what changes from moment to moment: durations, the time of day, the free disk."""
    return re.sub(r"\d+(\.\d+)?(?= m?s\b|:| MiB)|:\d\d\b", "#", text)


def test_a_bootstrap_is_the_same_by_either_way_with_every_kind_of_key(any_pi: Pi) -> None:
    interpreted = any_pi.python("-m", "device", "bootstrap")
    assert interpreted.returncode == 0, interpreted.stderr
    expected = {name: (content, mode) for name, (content, mode, _) in any_pi.files().items()}
    key = any_pi.state / "key.pem"
    software_key = key.read_bytes() if key.exists() else None
    shutil.rmtree(any_pi.state)
    if software_key:
        any_pi.state.mkdir(0o700)
        key.write_bytes(software_key)
        key.chmod(0o600)

    forked = any_pi.run("bootstrap")

    assert forked.returncode == 0, forked.stderr
    assert alike(forked.stdout) == alike(interpreted.stdout)
    assert {name: (content, mode) for name, (content, mode, _) in any_pi.files().items()} == expected


COMMANDS = [
    *("publish devices/{device}/t 1", "publish others/t 1", "publish", "status --json", "renew --if-due", "explain"),
    *("doctor", "key --key zymkey:", "--help"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_the_same_by_either_way(pi: Pi, command: str) -> None:
    assert pi.run("bootstrap").returncode == 0

    interpreted, forked = both(pi, "-m", "device", *command.split())

    assert forked.returncode == interpreted.returncode
    assert alike(forked.stdout) == alike(interpreted.stdout)
    assert alike(forked.stderr) == alike(interpreted.stderr)
