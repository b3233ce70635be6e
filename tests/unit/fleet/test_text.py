"""What strangers write reaches neither a terminal nor a log raw, whatever prints it."""

import ast
import io
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import output
from fleet.cli import main
from fleet.errors import Refused
from fleet.registrations import Registration, show
from fleet.smoke_test.report import Report
from fleet.text import printable
from ledger import Certificate, CertificateState, Device, Event, Request, State
from tests.support.fleet.authority import fingerprint, new_key

FLEET = Path(output.__file__).parent
# A cursor, a title, a line of our own, a turn of direction, an invisible joiner, C1's CSI, a lone surrogate.
HOSTILE = "pi\x1b[2J\x1b]0;x\x07\r\nzymkey-fleet: all is well\u2028\u202egnp\u2066\u200d\x9b31m\x7f\x00\ud800\t"
TEXTS = st.text(st.characters(codec=None), max_size=40) | st.just(HOSTILE)


def step(text):
    with Report(prints=True).step(text) as written:
        written.detail = text


PRINTERS = {
    "a cell": lambda text: output.print_table(["NAME", "OTHER"], [[text, "x"], ["y", text]]),
    "a head": lambda text: output.print_table([text, text], []),
    "a value": lambda text: output.print_record({"name": text, "state": "x"}),
    "a name of a value": lambda text: output.print_record({text: "x"}),
    "a line": output.print_line,
    "a note": output.note,
    "an error": lambda text: output.print_error(Refused(text, cure=text), as_json=False),
    "an error in JSON": lambda text: output.print_error(Refused(text, cure=text), as_json=True),
    "JSON": lambda text: output.print_json({text: [text]}),
    "a stack trace": lambda text: output.print_trace(ValueError(text)),
    "a step": lambda text: step(text),
    "registrations": lambda text: show(
        [Registration(name=text, certificate=None, failure=Refused(text, cure=text))], as_json=False
    ),
}


def is_seen(character):
    """By the categories of Unicode, and not by the method that the code itself asks."""
    return character in "\n " or unicodedata.category(character)[0] not in "CZ"


def printed(action):
    """What an action prints on both streams, with a terminal in the place of them."""
    terminal = io.StringIO()
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = terminal
    try:
        action()
    finally:
        sys.stdout, sys.stderr = before
    return terminal.getvalue()


@given(text=TEXTS)
def test_nothing_that_is_not_seen_is_printed(text):
    for what, printer in PRINTERS.items():
        shown = printed(lambda printer=printer: printer(text))
        assert all(map(is_seen, shown)), what


@given(text=TEXTS)
def test_a_strangers_text_has_no_lines_of_its_own(text):
    assert printed(lambda: output.print_line(text)).count("\n") == 1
    assert printed(lambda: output.print_table(["A"], [[text]])).count("\n") == 2
    assert printed(lambda: output.print_error(Refused(text, cure="x"), as_json=False)).count("\n") == 2


@given(text=st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_seen_stays_as_it_is(text):
    assert printable(text) == text


def test_only_one_module_prints():
    """By any of the ways that the standard library has; argparse prints by itself, and its errors are made safe.

    A bar of progress consists of this package's own words and of numbers.
    """
    for path in FLEET.rglob("*.py"):
        if path.name in ("output.py", "stdout.py", "progress.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Name) and node.id == "print"), path
            assert not (isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "print_exception")), path


class HostileLedger:
    """A ledger in which every text is hostile."""

    def __getattr__(self, _name):
        return lambda *_, **__: None

    def device(self, name):
        return Device(name=HOSTILE, state=State.PENDING, updated_at=1, fingerprint=HOSTILE, csr_at=1)

    def devices(self, *_, **__):
        return iter([self.device("")])

    def requests(self):
        later = int(time.time()) + 60
        return [Request(fingerprint=HOSTILE, suggested_name=HOSTILE, requested_at=1, expires_at=later)]

    def certificates(self, _name):
        return [
            Certificate(
                device=HOSTILE,
                certificate_id=HOSTILE,
                pem=HOSTILE,
                fingerprint=HOSTILE,
                serial=HOSTILE,
                not_before=1,
                not_after=2,
                issued_by=HOSTILE,
                state=CertificateState.ACTIVE,
                updated_at=1,
            )
        ]

    def history(self, _name):
        return [Event(device=HOSTILE, at=1, what=HOSTILE, by=HOSTILE, detail=HOSTILE)]


@pytest.fixture
def hostile_cloud(monkeypatch):
    class Deployment:
        ledger = HostileLedger()
        operator = HOSTILE

        def bootstrap_command(self, name):
            return HOSTILE

    for command in ("list", "pending", "show", "history", "allow"):
        monkeypatch.setattr(f"fleet.commands.{command}.open_deployment", lambda _: Deployment(), raising=True)


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(
    "words", [["list"], ["pending"], ["show", "pi-1"], ["history", "pi-1"], ["allow", "pi-1", "--key"]], ids=" ".join
)
def test_no_command_prints_what_the_ledger_has_raw(hostile_cloud, words, form):
    words = [*words, fingerprint(new_key())] if words[-1] == "--key" else words
    codes = []
    shown = printed(lambda: codes.append(main([*words, *form])))
    assert codes == [0]
    assert all(map(is_seen, shown))
    assert "zymkey-fleet: all is well" not in shown.splitlines()


@pytest.mark.parametrize(
    "words", [[HOSTILE], ["list", HOSTILE], ["allow", HOSTILE, "--key", "x"], ["list", "--x" + HOSTILE]]
)
def test_no_usage_error_quotes_the_command_line_raw(words):
    codes = []
    assert all(map(is_seen, printed(lambda: codes.append(main(words)))))
    assert codes == [2]
