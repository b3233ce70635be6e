"""Builds the code asset of the functions: their modules and packages in one folder, without containers.

The packages are wheels for Lambda's platform, on any machine, from the hashed requirements file. The folder's name is
a hash of all that it is made of, so it is the same on every machine and built once. It is never incomplete: it is built
in another folder and renamed.

``python -m infra.bundle`` builds what cdk.json asks for and what runs on this machine. It also fills the package cache:
afterwards a change of the code alone needs no network.
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

from infra import bytecode, deferred_imports, service_models
from infra.settings import Settings

PYTHON_VERSION = "3.13"  # of the functions' runtime

_ROOT = Path(__file__).resolve().parent.parent
_BUNDLES = _ROOT / "build" / "bundle"
_REQUIREMENTS = _ROOT / "requirements" / "functions.txt"
_SOURCES = ("audit", "functions", "ledger", "pki")

# What makes the bundle of its sources.
_BUILDERS = (
    *(Path(each).resolve() for each in (__file__, bytecode.__file__, deferred_imports.__file__)),
    *(Path(each).resolve() for each in (service_models.__file__, bytecode.COMPILER, bytecode.COMPILER_IN_PYODIDE)),
)
# For this machine and both architectures of Lambda, for some versions of the code.
_KEPT = 12

# The runtimes are Amazon Linux 2023: glibc 2.34.
_LAMBDA_PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder with a function's whole code, and the hash of its inputs."""

    directory: Path
    digest: str


class BundleError(Exception):
    """The packages cannot be installed; the message says why and what to do."""


def bundle(*, bundle_for: str, architecture: str) -> Bundle:
    """The bundle for ``lambda`` (on ``architecture``) or for this ``host``; built now if it does not exist.

    Raises:
        BundleError: the package installer failed.
    """
    target = _target(bundle_for=bundle_for, architecture=architecture)
    digest = _digest(target)
    if not (_BUNDLES / digest).is_dir():
        sys.stderr.write(f"Building the functions' code for Python {' on '.join(target)} ...\n")
        digest = _build(digest, _digest((*target, "without bytecode")), target)
        _forget_old()
    return Bundle(directory=_BUNDLES / digest, digest=digest)


def _target(*, bundle_for: str, architecture: str) -> tuple[str, ...]:
    """The Python version and platform to install for, as the installer's options name them."""
    if bundle_for == "host":
        return (f"{sys.version_info.major}.{sys.version_info.minor}", sysconfig.get_platform())
    return (PYTHON_VERSION, _LAMBDA_PLATFORMS[architecture])


def _digest(target: tuple[str, ...]) -> str:
    """SHA-256 over the names and contents of all inputs, without times and without this machine's paths."""
    digest = hashlib.sha256("\0".join(target).encode())
    for path in sorted([*_BUILDERS, _REQUIREMENTS, *source_files()]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def source_files() -> Iterator[Path]:
    """The functions' own code, as the bundle carries it."""
    for source in _SOURCES:
        yield from (_ROOT / source).rglob("*.py")


def _build(digest: str, without_bytecode: str, target: tuple[str, ...]) -> str:
    """Make the bundle, and return the name that it has got.

    Without bytecode it does the same, only later. It has another name then, since a name is uploaded once: as soon as
    something here can compile, the next deployment brings the bytecode.
    """
    _BUNDLES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_BUNDLES, prefix=".building-") as temporary:
        place = Path(temporary) / "bundle"
        if (_BUNDLES / without_bytecode).is_dir():
            shutil.copytree(_BUNDLES / without_bytecode, place)
        else:
            _gather(place, target)
        name = digest
        try:
            bytecode.add(place, python_version=target[0])
        except bytecode.BytecodeError as error:
            sys.stderr.write(f"{error}\n")
            name = without_bytecode
        try:
            place.rename(_BUNDLES / name)
        except OSError:
            if not (_BUNDLES / name).is_dir():  # otherwise it was there already, or another process was first
                raise
        return name


def _gather(place: Path, target: tuple[str, ...]) -> None:
    """The packages without what no function reads, and the functions' own code."""
    _install_packages(place, target)
    _prune(place)
    names = service_models.names_in(source.read_text() for source in source_files())
    service_models.trim(place / "botocore/data", names)
    deferred_imports.defer(place)
    for source in source_files():
        copy = place / source.relative_to(_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def _forget_old() -> None:
    """Keep the newest bundles; each change of the functions' code makes another of 20 MB."""
    bundles = sorted(_BUNDLES.glob("[0-9a-f]*"), key=lambda path: path.stat().st_ctime, reverse=True)
    for old in bundles[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _install_packages(place: Path, target: tuple[str, ...]) -> None:
    """Install without the network if the cache has every package, else with it."""
    python_version, platform = target
    foreign = [] if platform == sysconfig.get_platform() else ["--python-platform", platform]
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"),
        *("--python", sys.executable, "--python-version", python_version, *foreign),
        *("--target", str(place), "--only-binary", ":all:", "--require-hashes"),
        # Not linked to the installer's cache: some files are changed here, and would be changed for everybody.
        *("--link-mode", "copy"),
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
    """Remove what the functions never read: it only makes the upload and the start slower."""
    for name in ("bin", ".lock"):
        _remove(place / name)
    data = place / "botocore/data"
    for entry in data.iterdir():  # botocore knows every AWS service: 30 MB
        if entry.is_dir() and entry.name not in service_models.SERVICES:
            _remove(entry)
    installers_notes = ("RECORD", "INSTALLER", "REQUESTED")
    for pattern in ("__pycache__", "tests", "*.pyi", *(f"*.dist-info/{note}" for note in installers_notes)):
        for entry in list(place.rglob(pattern)):
            _remove(entry)


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
