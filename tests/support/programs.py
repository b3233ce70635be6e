"""The two commands of bin/ as tests run them: forked from a server that has their imports, see fork_server.

What is in bin/ itself only finds the checkout and its Python; tests of their own try that.
"""

import atexit
import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.support.fork_server import REPOSITORY, ForkServer, locale_of, read_at_start

# What most runs import. Modules for one kind of key are not among it, so that one which is missing shows.
IMPORTED = {
    "zymkey-iot": (
        *("argparse", "certifi", "email.contentmanager", "email.policy", "encodings.idna", "json", "paho.mqtt.client"),
        *("cryptography.hazmat.primitives.serialization.pkcs7", "cryptography.hazmat.backends.openssl", "sslcontext"),
        *("device.cli", "device.doctor.runner", "device.keys.file", "device.first_connection", "device.mqtt_publish"),
        *(f"device.commands.{name}" for name in ("bootstrap", "doctor", "publish", "renew", "status", "wait")),
    ),
    "zymkey-fleet": (
        *("boto3.session", "botocore.config", "botocore.exceptions", "encodings.idna", "paho.mqtt.client", "requests"),
        *(
            "fleet.cli",
            "fleet.commands.verify",
            "fleet.commands.sign",
            "fleet.commands.audit",
            "tests.support.sdk_models",
        ),
    ),
}

# What bin/ has Python run.
_PROGRAMS = {
    "zymkey-iot": "import sys; from device.cli import main; sys.exit(main())",
    "zymkey-fleet": "from fleet.cli import main; raise SystemExit(main())",
}


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether a run in `env` is the same when it is forked from a server of ours."""
    return read_at_start(env) == read_at_start(os.environ)


def fork_server(program: str, env: Mapping[str, str] = os.environ) -> ForkServer:
    """The one of this test run for a program's runs in `env`."""
    return _fork_server(program, tuple(locale_of(env).items()))


@cache
def _fork_server(program: str, locale: tuple[tuple[str, str], ...]) -> ForkServer:
    environment = {name: value for name, value in os.environ.items() if name not in locale_of(os.environ)}
    server = ForkServer(IMPORTED[program], environment | dict(locale))
    atexit.register(server.close)
    return server


def run(
    program: str, words: Sequence[str | Path], *, env: Mapping[str, str], timeout: float = 60, change: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run one of the two, or another program on PATH, with `env` and nothing else. Raises subprocess.TimeoutExpired.

    `change` is Python that changes one of the two before it begins.
    """
    ours = program in IMPORTED
    assert not change or (ours and can_fork(env))
    if ours and can_fork(env):
        arguments = ["-c", f"{change}\n{_PROGRAMS[program]}", *words]
        return fork_server(program, env).run(arguments, env=env, cwd=Path.cwd(), path=REPOSITORY, timeout=timeout)
    return subprocess.run(
        [REPOSITORY / "bin" / program if ours else program, *words],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
