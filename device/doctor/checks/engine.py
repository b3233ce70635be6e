"""OpenSSL engines, through which ``openssl`` and ``curl`` use the key: the vendor's documented way.

A device that does TLS in this process needs them only for the commands that ``zymkey-iot explain`` prints, so there a
fault is a warning. For a device that publishes with curl it is a failure.
"""

import subprocess

from ...curl_engines import EngineFault, cure_for_no_engine, engine_fault, installed_version
from ...errors import DeviceError, LibraryUnusable
from ...keys.command_line import PKCS11_ENGINE, ZYMKEY_ENGINE
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok, warning

NEEDED_BY_HAND = "This device publishes without it; only the commands that zymkey-iot explain prints need it"


def openssl_engine(examination: Examination) -> Finding:
    from ...keys.engine import find_engine

    engine = _engine(examination)
    try:
        return ok(find_engine(engine))
    except LibraryUnusable as error:
        return _missing(error, examination)


def curl_engine(examination: Examination) -> Finding:
    """Whether curl loads the engine."""
    engine = _engine(examination)
    version = installed_version()
    if version is None:
        return _missing(LibraryUnusable("there is no curl command.", cure="sudo apt install curl"), examination)
    known = engine_fault(version)
    if examination.results["openssl-engine"].status is not Status.OK:
        if known:
            return _missing(LibraryUnusable(f"curl {version} {known.what}.", cure=known.cure), examination)
        raise Skipped("OpenSSL has to find the engine first.", needs="openssl-engine")
    tried = _try_engine(engine)
    if tried.returncode != 0:
        said = tried.stderr.strip().partition("\n")[0].removeprefix(f"curl: ({tried.returncode}) ").rstrip(".")
        fault = known or EngineFault(f"cannot use the OpenSSL engine {engine}", cure_for_no_engine(engine))
        return _missing(
            LibraryUnusable(f"curl {version} {fault.what}: ({tried.returncode}) {said}.", cure=fault.cure), examination
        )
    if known:
        return warning(f"curl {version} loads the engine {engine}, but {known.what}.", cure=known.cure, version=version)
    return ok(f"curl {version} loads the engine", version=version)


def _engine(examination: Examination) -> str:
    """The engine through which OpenSSL uses this device's key.

    Raises:
        Skipped: the key is in a file.
    """
    kind, _, rest = examination.settings.key.partition(":")
    if kind == "zymkey":
        return ZYMKEY_ENGINE
    if kind == "pkcs11":
        return PKCS11_ENGINE
    if kind == "engine" and rest:
        return rest.partition(":")[0]
    raise Skipped("this key needs no engine.")


def _missing(error: DeviceError, examination: Examination) -> Finding:
    if examination.by_curl:
        raise error
    return warning(f"{error.cause} {NEEDED_BY_HAND}.", cure=error.cure)


def _try_engine(engine: str) -> "subprocess.CompletedProcess[str]":
    """Have curl load the engine and read a file, which needs no network and no key."""
    command = ["curl", "-q", "--silent", "--show-error", "--engine", engine, "file:///dev/null"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
