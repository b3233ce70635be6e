"""Builds the functions' code asset: our modules and their packages in one folder, without containers.

The packages are wheels for Lambda's platform, whatever this machine is, from the hashed requirements file.
The folder's name is a hash of everything that goes in, so it is the same on every machine, built once, and
never half there: it is built beside its place and renamed into it.

``python -m infra.bundle`` builds what cdk.json asks for and what runs here, and so warms the package cache:
after it, a change of the code alone needs no network.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Settings

PYTHON_VERSION = "3.13"  # of the functions' runtime

_ROOT = Path(__file__).resolve().parent.parent
_BUNDLES = _ROOT / "build" / "bundle"
_REQUIREMENTS = _ROOT / "requirements" / "functions.txt"
_SOURCES = ("functions", "ledger", "pki")

# botocore knows every AWS service (30 MB); the functions call these.
_SERVICES = ("dynamodb", "iot", "kms")
# For this machine and both of Lambda's, now and before the last changes.
_KEPT = 12

# The runtimes are Amazon Linux 2023: glibc 2.34.
_LAMBDA_PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder that is a function's whole code, and the hash of all that went into it."""

    directory: Path
    digest: str


class BundleError(Exception):
    """The packages cannot be had; the message says why and what to do."""


def bundle(*, bundle_for: str, architecture: str) -> Bundle:
    """The bundle for ``lambda`` (on ``architecture``) or for this ``host``, built now if it is not there yet.

    Raises:
        BundleError: the package installer failed.
    """
    target = _target(bundle_for=bundle_for, architecture=architecture)
    digest = _digest(target)
    directory = _BUNDLES / digest
    if not directory.is_dir():
        sys.stderr.write(f"Building the functions' code for Python {' on '.join(target)} ...\n")
        _build(directory, target)
        _forget_old()
    return Bundle(directory=directory, digest=digest)


def _target(*, bundle_for: str, architecture: str) -> tuple[str, ...]:
    """The Python version and platform to install for, as the installer's options take them."""
    if bundle_for == "host":
        return (f"{sys.version_info.major}.{sys.version_info.minor}", sysconfig.get_platform())
    return (PYTHON_VERSION, _LAMBDA_PLATFORMS[architecture])


def _digest(target: tuple[str, ...]) -> str:
    """SHA-256 over all inputs: names and contents, never times or this machine's paths."""
    digest = hashlib.sha256("\0".join(target).encode())
    for path in sorted([Path(__file__).resolve(), _REQUIREMENTS, *_source_files()]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _source_files() -> Iterator[Path]:
    for source in _SOURCES:
        yield from (_ROOT / source).rglob("*.py")


def _build(directory: Path, target: tuple[str, ...]) -> None:
    _BUNDLES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_BUNDLES, prefix=".building-") as temporary:
        place = Path(temporary) / "bundle"
        _install_packages(place, target)
        _prune(place)
        for source in _source_files():
            copy = place / source.relative_to(_ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        _compile(place, python_version=target[0])
        try:
            place.rename(directory)
        except OSError:
            if not directory.is_dir():  # else another process was first, with the same content
                raise


def _forget_old() -> None:
    """Keep the bundles that were built last; each change of the functions' code makes another 20 MB."""
    bundles = sorted(_BUNDLES.glob("[0-9a-f]*"), key=lambda path: path.stat().st_ctime, reverse=True)
    for old in bundles[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _install_packages(place: Path, target: tuple[str, ...]) -> None:
    """Install without the network if the cache has everything, else with it."""
    python_version, platform = target
    foreign = [] if platform == sysconfig.get_platform() else ["--python-platform", platform]
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"),
        *("--python", sys.executable, "--python-version", python_version, *foreign),
        *("--target", str(place), "--only-binary", ":all:", "--require-hashes"),
        *("--requirements", str(_REQUIREMENTS)),
    ]
    try:
        if subprocess.run([*command, "--offline"], capture_output=True, check=False).returncode == 0:
            return
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run(command, check=True, stdout=sys.stderr)
    except FileNotFoundError:
        raise BundleError("uv, which installs the functions' packages, is missing: run `make setup`.") from None
    except subprocess.CalledProcessError:
        raise BundleError(
            "The functions' packages cannot be installed (see above): "
            "check the network and run `make setup`, after which no network is needed."
        ) from None


def _prune(place: Path) -> None:
    """Leave out what the functions never read: it only makes them slower to upload and to start."""
    for name in ("bin", ".lock"):
        _remove(place / name)
    for data, kept in ((place / "botocore/data", _SERVICES), (place / "boto3/data", ("dynamodb",))):
        for entry in data.iterdir():
            if entry.is_dir() and entry.name not in kept:
                _remove(entry)
    installers_notes = ("RECORD", "INSTALLER", "REQUESTED")
    for pattern in ("__pycache__", "tests", "*.pyi", *(f"*.dist-info/{note}" for note in installers_notes)):
        for entry in list(place.rglob(pattern)):
            _remove(entry)


def _compile(place: Path, *, python_version: str) -> None:
    """Add bytecode, if a Python of the target's version is here to make it.

    A function's folder is read-only in Lambda, so without it every cold start compiles every module anew: 0.8 s of
    processor time in place of 0.3 s. It is an addition only: the bundle is the same with and without, and so is its
    digest. Bytecode is bound to its source's time stamp by default, which an upload does not keep; hence unchecked.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = sys.executable if python_version == running else shutil.which(f"python{python_version}")
    if python is not None:
        compiling = [python, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
        # Where the paths in tracebacks begin in Lambda; a file of some package that does not compile is its own affair.
        subprocess.run([*compiling, "-s", str(place), "-p", "/var/task", str(place)], capture_output=True, check=False)
    if next(place.rglob("*.pyc"), None) is None:
        sys.stderr.write(f"There is no Python {python_version} here to compile it: cold starts will be slower.\n")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    settings = Settings.from_context(json.loads((_ROOT / "cdk.json").read_text())["context"])
    try:
        for bundle_for in (settings.bundle_for, "host"):
            bundle(bundle_for=bundle_for, architecture=settings.architecture)
    except BundleError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
