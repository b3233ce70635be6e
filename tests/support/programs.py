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

# What runs import of other packages. The vendor's module for the Zymkey looks for its library when it is imported, so
# each run does that for itself.
_OTHERS = {
    "device": (
        *("argparse", "certifi", "email.contentmanager", "email.policy", "encodings.idna", "json", "paho.mqtt.client"),
        *("cryptography.hazmat.primitives.serialization.pkcs7", "cryptography.hazmat.backends.openssl", "pkcs11"),
        *("sslcontext._openssl._params", "sslcontext._openssl._provider"),
    ),
    "fleet": ("boto3.session", "encodings.idna", "paho.mqtt.client", "requests", "tests.support.sdk_models"),
}


def imported(package: str) -> tuple[str, ...]:
    """The names of all that a server of a program's runs imports: its own package, and what that imports of others."""
    folder = REPOSITORY / package
    own = sorted(path.relative_to(REPOSITORY).with_suffix("") for path in folder.rglob("*.py") if path.stem[:2] != "__")
    return (*_OTHERS[package], *(".".join(path.parts) for path in own))


PACKAGES = {"zymkey-iot": "device", "zymkey-fleet": "fleet"}


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether a run in `env` is the same when it is forked from a server of ours."""
    return read_at_start(env) == read_at_start(os.environ)


def fork_server(program: str, env: Mapping[str, str] = os.environ) -> ForkServer:
    """The one of this test run for a program's runs in `env`."""
    return _fork_server(program, tuple(locale_of(env).items()))


@cache
def _fork_server(program: str, locale: tuple[tuple[str, str], ...]) -> ForkServer:
    environment = {name: value for name, value in os.environ.items() if name not in locale_of(os.environ)}
    server = ForkServer(imported(PACKAGES[program]), environment | dict(locale))
    atexit.register(server.close)
    return server


def run(
    program: str, words: Sequence[str | Path], *, env: Mapping[str, str], timeout: float = 60, change: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run one of the two, or another program on PATH, with `env` and nothing else. Raises subprocess.TimeoutExpired.

    `change` is Python that changes one of the two before it begins.
    """
    ours = program in PACKAGES
    assert not change or (ours and can_fork(env))
    if ours and can_fork(env):
        entry = f"import sys; from {PACKAGES[program]}.cli import main; sys.exit(main())"  # as in bin/
        arguments = ["-c", f"{change}\n{entry}", *words]
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
