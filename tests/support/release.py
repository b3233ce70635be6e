"""An earlier release of this project, out of its own history: what is deployed, and what runs on devices, today."""

import subprocess
from pathlib import Path

from sandbox.addresses import REPOSITORY

# The first one that was deployed: every later release must be able to take its place.
FIRST_RELEASE = "3820b58"


def sources_of(release: str, folder: Path) -> Path:
    """Write the release's files into ``folder``, and return it. Raises as ``file_of`` does."""
    # Not tarfile: its filter, without which it warns, came with Python 3.11.4, and Debian 12 has 3.11.2.
    subprocess.run(["tar", "--extract", "--directory", folder], input=_git(release, "archive", release), check=True)
    return folder


def file_of(release: str, path: str) -> str:
    """The text of one file of the release.

    Raises:
        RuntimeError: this clone does not reach back so far.
    """
    return _git(release, "show", f"{release}:{path}").decode()


def _git(release: str, *words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"Commit {release} is not in this clone, and an upgrade from it cannot be tried: "
            f"`git fetch --unshallow` brings it. git said: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout
