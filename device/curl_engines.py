"""curl with OpenSSL engines: which versions cannot use them, and what to do about it.

Debian 13's 8.14.1-2 to 8.14.1-2+deb13u4 answer "(53) SSL crypto engine not found"; deb13u5 works again (tried with
Debian's packages). 7.74.0, Debian 11's, is the version that Zymbit's documentation warns of.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass

_UPGRADE = "sudo apt update && sudo apt install curl"
_BROKEN_IN_DEBIAN_13 = "8.14.1-2 to 8.14.1-2+deb13u4"


@dataclass(frozen=True)
class EngineFault:
    """What is wrong with engines in one version of curl. ``what`` continues a sentence that begins with the version."""

    what: str
    cure: str


def installed_version() -> str | None:
    """The version of the ``curl`` command on this machine; None when there is no such command."""
    if shutil.which("curl") is None:
        return None
    # -q first: a user's ~/.curlrc has no say.
    return version_in(subprocess.run(["curl", "-q", "--version"], capture_output=True, text=True, check=False).stdout)


def version_in(text: str) -> str:
    """From the output of ``curl --version``.

    Debian's own version where the text has it (``security patched: 8.14.1-2+deb13u3``).
    """
    found = re.search(r"security patched: (\S+)", text) or re.match(r"curl (\S+)", text)
    return found.group(1) if found else "of an unknown version"


def engine_fault(version: str) -> EngineFault | None:
    """What is wrong with engines in this version; None when nothing is known."""
    if match := re.fullmatch(r"8\.14\.1(?:-2(?:\+deb13u(\d+))?)?", version):
        revision = int(match.group(1) or 0)
        if revision < 5:
            return EngineFault(
                f"is known to fail with engines (Debian 13's curl {_BROKEN_IN_DEBIAN_13})",
                f"{_UPGRADE}, which brings 8.14.1-2+deb13u5 or later",
            )
    if re.match(r"7\.74\.0(?!\d)", version):
        return EngineFault(
            "is known to fail with engines (Zymbit warns of Debian 11's curl 7.74.0)",
            "use Raspberry Pi OS bookworm or trixie, which have a newer curl",
        )
    return None


def cure_for_no_engine(engine: str) -> str:
    """What to try when curl does not find ``engine`` and nothing is known of this curl."""
    return (
        f"check that OpenSSL has the engine: openssl engine {engine}; if it has, update curl, since Debian 13's curl"
        f" {_BROKEN_IN_DEBIAN_13} finds no engine: {_UPGRADE}"
    )
