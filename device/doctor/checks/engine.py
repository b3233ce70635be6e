"""OpenSSL engines, which `openssl` and `curl` reach the key through: the vendor's documented way.

A device that does TLS in its own process needs them only for the commands that `zymkey-iot explain` prints, so
there it is a warning; where curl publishes, it is a failure.
"""

import re
import shutil
import subprocess

from ...errors import DeviceError, LibraryUnusable
from ...keys.command_line import PKCS11_ENGINE, ZYMKEY_ENGINE
from ..examination import Examination
from ..finding import Finding, Skipped, Status, ok, warning

NEEDED_BY_HAND = "This device publishes without it; the commands that `zymkey-iot explain` prints need it"


def openssl_engine(examination: Examination) -> Finding:
    from ...keys.engine import find_engine

    engine = _engine(examination)
    try:
        return ok(find_engine(engine))
    except LibraryUnusable as error:
        return _missing(error, examination)


def curl_engine(examination: Examination) -> Finding:
    """Whether curl loads the engine: tried, with a URL that needs no network and no key."""
    from ...curl_publish import NO_ENGINE

    engine = _engine(examination)
    if shutil.which("curl") is None:
        return _missing(LibraryUnusable("there is no curl command.", cure="sudo apt install curl"), examination)
    version = curl_version(_curl("--version").stdout)
    broken = known_fault(version)
    if examination.results["openssl-engine"].status is not Status.OK:
        if broken:
            return _missing(LibraryUnusable(f"curl {version} {broken[0]}.", cure=broken[1]), examination)
        raise Skipped("OpenSSL has to find the engine first.", needs="openssl-engine")
    tried = _curl("--engine", engine, "file:///dev/null")
    if tried.returncode != 0:
        said = tried.stderr.strip().partition("\n")[0].removeprefix(f"curl: ({tried.returncode}) ").rstrip(".")
        fault, cure = broken or (f"cannot use the OpenSSL engine {engine}", NO_ENGINE.format(engine=engine))
        return _missing(
            LibraryUnusable(f"curl {version} {fault}: ({tried.returncode}) {said}.", cure=cure), examination
        )
    if broken:
        return warning(f"curl {version} loads the engine {engine}, but {broken[0]}.", cure=broken[1], version=version)
    return ok(f"curl {version} loads it", version=version)


def curl_version(text: str) -> str:
    """From `curl --version`: Debian's own version where it tells one (`security patched: 8.14.1-2+deb13u3`)."""
    patched = re.search(r"security patched: (\S+)", text)
    upstream = re.match(r"curl (\S+)", text)
    found = patched or upstream
    return found.group(1) if found else "of an unknown version"


def known_fault(version: str) -> tuple[str, str] | None:
    """What is wrong with engines in this version of curl, and the cure; None when nothing is known.

    Debian's 8.14.1-2 to -2+deb13u4 answer "(53) SSL crypto engine not found"; deb13u5 is mended. 7.74.0 is the one
    that the vendor's documentation warns of.
    """
    if match := re.fullmatch(r"8\.14\.1(?:-2(?:\+deb13u(\d+))?)?", version):
        revision = int(match.group(1) or 0)
        if revision < 5:
            return (
                "is Debian 13's, which finds no engine from 8.14.1-2 to 8.14.1-2+deb13u4",
                "sudo apt update && sudo apt install curl, which brings 8.14.1-2+deb13u5 or later",
            )
    if re.match(r"7\.74\.0(?!\d)", version):
        return (
            "is Debian 11's, of which Zymbit warns that engines do not work",
            "Raspberry Pi OS bookworm or trixie, which have a newer curl",
        )
    return None


def _engine(examination: Examination) -> str:
    """The engine that this device's key is behind. Raises Skipped for a key in a file."""
    kind, _, rest = examination.settings.key.partition(":")
    if kind == "zymkey":
        return ZYMKEY_ENGINE
    if kind == "pkcs11":
        return PKCS11_ENGINE
    if kind == "engine" and rest:
        return rest.partition(":")[0]
    raise Skipped("this key is behind no engine.")


def _missing(error: DeviceError, examination: Examination) -> Finding:
    if examination.by_curl:
        raise error
    return warning(f"{error.cause} {NEEDED_BY_HAND}.", cure=error.cure)


def _curl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["curl", "-q", "--silent", "--show-error", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
