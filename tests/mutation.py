"""Mutation testing: change one thing in a copy of the code, and see whether a unit test notices.

It runs where a fault would cost a device its identity (``[tool.mutmut]`` in pyproject.toml), on a sample: from each
file the same number of mutants, chosen by a seed. A mutant that survives is code that no test holds. Either it gets a
test, or the change makes no difference: a log line, a codec's name in capitals, a default that every caller gives.
Survivors that differ only in the words of a sentence are counted and not printed.

Examples:
    make mutants                              30 mutants from each file
    make mutants SAMPLE=200 SEED=7            more, and others
    build/mutants/bin/mutmut show NAME        the whole change that a name stands for
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path("mutants")
MUTMUT = (sys.executable, "-m", "mutmut")
NOTICED = {"killed", "timeout", "segfault", "suspicious"}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=30, metavar="N", help="mutants from each file (default 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="chooses them (default 1)")
    arguments = parser.parse_args()

    print("Make the mutants, and learn which test runs which function (a minute) …", flush=True)
    _run("ledger.token*")  # mutmut makes none without running one
    chosen = _sample(_names_by_file(), arguments.sample, random.Random(arguments.seed))  # noqa: S311  not for secrets
    print(f"Run the tests of {len(chosen)} mutants (seed {arguments.seed}; about one a second) …", flush=True)
    _run(*chosen)
    return _report({name: verdict for name, verdict in _verdicts() if name in set(chosen)})


def _run(*names: str) -> None:
    result = subprocess.run([*MUTMUT, "run", *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        sys.exit(f"mutmut failed:\n{result.stdout[-3000:].decode(errors='replace')}")


def _names_by_file() -> list[list[str]]:
    return [sorted(json.loads(meta.read_text())["exit_code_by_key"]) for meta in sorted(FOLDER.rglob("*.meta"))]


def _sample(names_by_file: Iterable[list[str]], size: int, source: random.Random) -> list[str]:
    return [name for names in names_by_file for name in source.sample(names, min(size, len(names)))]


def _verdicts() -> Iterable[tuple[str, str]]:
    for line in _output("results", "--all", "true").splitlines():
        name, separator, verdict = line.partition(": ")
        if separator:
            yield name.strip(), verdict.strip()


def _report(verdicts: dict[str, str]) -> int:
    """Print each survivor with its change, and the sums. Returns 1 when one survived, else 0."""
    survivors = [name for name, verdict in sorted(verdicts.items()) if verdict not in NOTICED]
    words = 0
    for name in survivors:
        before, after = _change(name)
        if _differ_in_words(before, after):
            words += 1
        else:
            print(f"\n{verdicts[name]}: {name}", *(f"- {line}" for line in before), sep="\n")
            print(*(f"+ {line}" for line in after), sep="\n")
    print()
    print(", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts.values()).most_common()))
    print(f"{len(verdicts) - len(survivors)} of {len(verdicts)} mutants were noticed; {words} changed only words.")
    return 1 if len(survivors) > words else 0


def _change(name: str) -> tuple[list[str], list[str]]:
    lines = [line for line in _output("show", name).splitlines() if line[:3] not in ("---", "+++")]
    return [line[1:] for line in lines if line[:1] == "-"], [line[1:] for line in lines if line[:1] == "+"]


def _differ_in_words(before: list[str], after: list[str]) -> bool:
    """Whether the change is mutmut's to a text: letters in another case, or XX at both ends."""
    return "".join(before).casefold() == "".join(after).replace("XX", "").casefold()


def _output(*arguments: str) -> str:
    return subprocess.run([*MUTMUT, *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
