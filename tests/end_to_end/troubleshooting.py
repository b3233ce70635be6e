"""docs/troubleshooting.md, made from twenty faults that are injected for real.

`make troubleshooting`, or `python -m tests.end_to_end.troubleshooting`, writes it. The tests of doctor compare each
section with what doctor says now, so it cannot go stale.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from device.doctor.checklist import CHECKS
from device.doctor.report import wrapped
from tests.end_to_end.device_faults import FAULTS, Fault
from tests.support.cloud.patient import REPOSITORY, Patient, anonymous, bootstrapped, copy_of

DOCUMENT = REPOSITORY / "docs" / "troubleshooting.md"
WIDTH = 116

_PREFACE = """\
# Troubleshooting

On the Pi:

```sh
sudo zymkey-iot doctor
```

It checks everything from the HSM to AWS IoT, and takes about a second. It changes nothing, costs the key two
signatures, and publishes one message to the device's own topic. Each check is `ok`, `warning`, `failed` or `skipped`.
The last line names the check to begin with. Remove its fault, then run doctor again: the checks that were skipped can
run then. The exit code is 0 when all checks passed, 16 when there are only warnings, and otherwise the exit code of the
first check that failed, as in `zymkey-iot --help`. `--json` prints the results for programs, `--only CHECK` runs one
check.

Below are twenty faults with the output of doctor, without the lines that are `ok` or `skipped`. The output is recorded
from tests that inject each fault for real (`make troubleshooting`) into a sandbox on one machine, so the enrollment
service is `127.0.0.1` and the data endpoint is `localhost`. `pi-7` stands for the device, `3f9a1c0e77d2…` for its
certificate, `YYYY-MM-DD` for dates.
"""


def document(sections: dict[str, str], healthy: str) -> str:
    """The whole of it. `sections` are by fault's title."""
    toc = "\n".join(f"{number}. [{f.title}](#{_anchor(number, f)})" for number, f in enumerate(FAULTS, 1))
    parts = [_PREFACE, toc + "\n", *sections.values(), healthy, checks()]
    return "\n".join(parts)


def section(number: int, fault: Fault, output: str) -> str:
    """One fault's section, from doctor's output (anonymous, not wrapped)."""
    told = [line for line in output.splitlines() if not line.startswith(("ok ", "skipped "))]
    return (
        f"{heading(number, fault)}\n\n{wrapped_prose(fault.story)}\n\n{_block(told)}\n\nExit code {fault.exit_code}.\n"
    )


def heading(number: int, fault: Fault) -> str:
    return f"## {number}. {fault.title}"


def healthy_section(output: str) -> str:
    return f"## A device without faults\n\n{_block(output.splitlines())}\n"


def checks() -> str:
    """The table of checks."""
    rows = [f"| `{check.id}` | {check.about} | {', '.join(check.needs) or '-'} |" for check in CHECKS]
    return "\n".join(
        [
            "## The checks",
            "",
            "The ids of the checks never change.",
            "",
            "| check | what it checks | needs |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def recorded(heading_line: str) -> str:
    """A section as docs/troubleshooting.md has it; empty when it has none."""
    text = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    for part in text.split("\n## ")[1:]:
        found = f"## {part}"
        if found.startswith(heading_line + "\n"):
            return found.rstrip("\n") + "\n"
    return ""


def examine(fault: Fault, healthy: Patient, folder: Path) -> tuple[int, str]:
    """Inject a fault into a copy of a healthy device; doctor's exit code and what it says, anonymous."""
    patient = copy_of(healthy, folder)
    with patient.afterwards:
        fault.inject(patient)
        result = patient.doctor()
        return result.returncode, anonymous(result.stdout + result.stderr, patient)


def wrapped_prose(text: str) -> str:
    import textwrap

    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _block(lines: list[str]) -> str:
    return "```\n" + "\n".join(wrapped(line, WIDTH) for line in lines) + "\n```"


def _anchor(number: int, fault: Fault) -> str:
    """As GitHub makes it from the heading."""
    return f"{number}-" + "".join(c for c in fault.title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def write(sandbox: Any) -> None:
    """Record every fault anew."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        healthy = bootstrapped(sandbox, root / "healthy")
        sections = {}
        for number, fault in enumerate(FAULTS, 1):
            sys.stdout.write(f"{number:>2} {fault.title}\n")
            _, output = examine(fault, healthy, root / str(number))
            sections[fault.title] = section(number, fault, output)
        well = healthy_section(anonymous(healthy.doctor().stdout, healthy))
        DOCUMENT.write_text(document(sections, well))
    sys.stdout.write(f"{DOCUMENT}\n")


def main() -> int:
    from sandbox.addresses import Addresses
    from tests.support.cloud.running_sandbox import start_sandbox

    write(start_sandbox(Addresses.from_environment(), "kms"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
