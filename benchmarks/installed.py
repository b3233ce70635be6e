"""``python -m benchmarks.installed``: write the README's list of the packages that ``pip install .`` installs."""

import csv
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .wheel import REPOSITORY, UV, build_wheel

README = REPOSITORY / "README.md"
_MARKS = "<!-- installed: written by python -m benchmarks.installed -->\n", "<!-- /installed -->\n"

# Why each package is there; a package without a reason is not installed on the Pi.
REASONS = {
    "zymkey-iot": "this command",
    "certifi": "the roots that verify AWS's servers",
    "cffi": "asked for by cryptography",
    "charset-normalizer": "asked for by requests",
    "cmdline": "asked for by zku",
    "cryptography": "certificate signing requests and certificates",
    "idna": "asked for by requests",
    "paho-mqtt": "the optional MQTT check",
    "pycparser": "asked for by cffi",
    "pyyaml": "asked for by cmdline",
    "requests": "HTTP",
    "sh": "asked for by zku",
    "sslcontext": "TLS with a key that signs elsewhere",
    "truststore": "asked for by sslcontext",
    "urllib3": "the connections of requests, which carry the HSM's TLS context",
    "zku": "the vendor's module for the Zymkey",
}


@dataclass(frozen=True)
class Package:
    """One installed distribution: its name, and the size of its files in bytes, without bytecode."""

    name: str
    version: str
    size: int


def installed_packages(site_packages: Path) -> Iterator[Package]:
    """The distributions in a folder, by their own records of their files."""
    for record in sorted(site_packages.glob("*.dist-info/RECORD")):
        name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
        with record.open(newline="") as rows:
            files = [site_packages / row[0] for row in csv.reader(rows)]
        size = sum(file.stat().st_size for file in files if file.suffix != ".pyc" and file.is_file())
        yield Package(normalized(name), version, size)


def normalized(name: str) -> str:
    """A distribution's name as the index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def table(packages: list[Package]) -> str:
    """The list, in Markdown.

    Raises:
        KeyError: ``REASONS`` has no reason for a package.
    """
    lines = ["| package | version | what for | kB |", "|---|---|---|---:|"]
    lines += [f"| {each.name} | {each.version} | {REASONS[each.name]} | {each.size // 1000} |" for each in packages]
    total = sum(each.size for each in packages)
    lines += [f"| **together** | | | **{total // 1000}** |", ""]
    return "\n".join(lines)


def with_table(readme: str, packages: list[Package]) -> str:
    """The README with the list between its marks."""
    before, _, rest = readme.partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    return before + _MARKS[0] + table(packages) + _MARKS[1] + after


def documented_names(text: str) -> set[str]:
    """The names of the packages that the README lists."""
    return set(re.findall(r"^\| ([a-z0-9-]+) \| [0-9]", text, re.MULTILINE))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        subprocess.run([UV, "venv", "--quiet", environment], check=True)
        install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", environment / "bin" / "python"]
        locked = ("--require-hashes", "--build-constraints", REPOSITORY / "requirements" / "build.txt")
        subprocess.run([*install, *locked, "-r", REPOSITORY / "requirements" / "device.txt"], check=True)
        subprocess.run([*install, "--no-deps", build_wheel(Path(folder))], check=True)
        (site_packages,) = (environment / "lib").glob("python*/site-packages")
        README.write_text(with_table(README.read_text(), list(installed_packages(site_packages))))
    print(f"Written: {README}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
