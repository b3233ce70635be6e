"""Imports that are put off until they are needed: nothing is missing, and what changes upstream fails the build."""

import ast
import importlib.util
import subprocess
import sys

import pytest

from infra import deferred_imports
from infra.bundle import bundle
from infra.deferred_imports import DeferringError, deferred, with_late_patterns

MODULE = '''
"""A module."""
import decimal
from fractions import Fraction, gcd as greatest

__all__ = ["Fraction", "half"]


def half(which="a", *, otherwise=None):
    """A half."""
    if which == "a":
        return Fraction(1, 2)
    try:
        return [decimal.Decimal(each) / 2 for each in otherwise]
    except decimal.InvalidOperation:
        return (lambda: Fraction(0))()


class Numbers:
    def zero(self):
        def inner():
            return decimal.Decimal(0)
        return inner()

    def one(self):
        return 1
'''.replace(", gcd as greatest", " as Fraction")


def module(source, tmp_path, name="lazy"):
    path = tmp_path / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_module_does_the_same_with_its_imports_put_off(tmp_path):
    lazy = module(deferred(MODULE, ("decimal", "fractions"), module="m"), tmp_path)
    whole = module(MODULE, tmp_path, "whole")
    assert not {"decimal", "Fraction"} & set(vars(lazy))
    for call in (
        lambda m: m.half(),
        lambda m: m.half("b", otherwise=[1, 2]),
        lambda m: m.half("b", otherwise=["x"]),
        lambda m: m.Numbers().zero(),
        lambda m: m.Numbers().one(),
        lambda m: m.half.__doc__,
        lambda m: m.Fraction,
        lambda m: m.decimal,
    ):
        assert call(lazy) == call(whole)
    with pytest.raises(AttributeError, match="no attribute 'third'"):
        lazy.third  # noqa: B018


def test_a_branch_that_is_not_taken_imports_nothing():
    source = deferred(MODULE, ("decimal", "fractions"), module="m")
    first = source.index("from fractions import Fraction as Fraction")
    assert source.index("if which == 'a'") < first < source.index("return Fraction(1, 2)")


@pytest.mark.parametrize(
    "early",
    [
        "HALF = Fraction(1, 2)",
        "def half(which=Fraction(1, 2)): pass",
        "class Half(Fraction): pass",
        "class Half:\n    half = Fraction(1, 2)",
        "@Fraction\ndef half(): pass",
        "half = lambda: Fraction(1, 2)",
    ],
)
def test_what_a_module_needs_while_it_is_imported_fails_the_build(early):
    with pytest.raises(DeferringError, match="uses Fraction"):
        deferred(f"from fractions import Fraction\n{early}\n", ("fractions",), module="m")


@pytest.mark.parametrize("source", ["", "from fractions import Fraction", "def f():\n    import decimal"])
def test_an_import_that_is_not_there_any_more_fails_the_build(source):
    with pytest.raises(DeferringError, match="any more"):
        deferred(source, ("decimal",), module="m")


@pytest.mark.parametrize(
    "other",
    [
        "def f(decimal): return decimal",
        "def f():\n    decimal = 1\n    return decimal",
        "def f():\n    import numbers as decimal\n    return decimal",
        "def f():\n    global decimal",
        "def f(): return [decimal for decimal in ()]",
        "def f():\n    with open('x') as decimal: pass",
        "class C:\n    def decimal(self): pass",
        "try: pass\nexcept OSError as decimal: pass",
        "import decimal",
    ],
)
def test_a_name_that_means_something_else_too_fails_the_build(other):
    """The import would stand before its use, and overwrite it."""
    with pytest.raises(DeferringError, match="binds decimal more than once"):
        deferred(f"import decimal\n{other}\n", ("decimal",), module="m")


def test_what_cannot_be_written_as_it_was_read_fails_the_build(monkeypatch):
    write = ast.unparse
    monkeypatch.setattr(ast, "unparse", lambda tree: write(tree).replace("half", "part"))
    with pytest.raises(DeferringError, match="cannot write m as it has read it"):
        deferred(MODULE, ("decimal",), module="m")


def test_a_module_that_is_lazy_itself_is_left_to_a_person():
    with pytest.raises(DeferringError, match="of its own"):
        deferred("import decimal\ndef __getattr__(name): pass", ("decimal",), module="m")


def test_a_pattern_is_compiled_when_it_is_used(tmp_path):
    source = "import re\nWORD = re.compile(r'\\w+')\nclass Text:\n    START = re.compile('^A', re.IGNORECASE)\n"
    late = module(with_late_patterns(source, module="m"), tmp_path)
    assert type(late.WORD).__name__ == type(late.Text.START).__name__ == "_Late"
    assert late.WORD.fullmatch("word")
    assert late.Text().START.match("abc")
    assert late.Text.START.pattern == "^A"
    with pytest.raises(DeferringError):
        with_late_patterns("import re\n", module="m")


def test_a_bundle_whose_module_is_gone_fails_the_build(tmp_path):
    with pytest.raises(DeferringError, match="not there any more"):
        deferred_imports.defer(tmp_path)


USES_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
import botocore.session
late = ("jmespath", "dateutil", "html.parser", "concurrent.futures", "importlib.metadata",
        "cryptography.hazmat.primitives.serialization.ssh")
from cryptography import x509
assert not set(late) & set(sys.modules), set(late) & set(sys.modules)

assert x509.Name.from_rfc4514_string("CN=pi,O=Acme\\\\, Inc").rfc4514_string() == "CN=pi,O=Acme\\\\, Inc"
from cryptography.hazmat.primitives.serialization import load_ssh_public_key, ssh_key_fingerprint
from cryptography.hazmat.primitives import serialization
assert all(getattr(serialization, name) for name in serialization.__all__)

from botocore.docs.docstring import ClientMethodDocstring
session = botocore.session.Session()
iot = session.create_client("iot", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
assert "certificatePem" in str(iot.register_certificate.__doc__)
assert "paginate" in str(iot.get_paginator("list_thing_principals").paginate.__doc__)

from botocore import utils, compat, credentials, tokens
assert utils.parse_timestamp("2026-11-25T20:41:05Z").year == utils.parse_timestamp(1795639265).year == 2026
assert compat.tzlocal and utils.dateutil and credentials.parse("2026-11-25").month == 11
from botocore.paginate import PageIterator
pages = iot.get_paginator("list_thing_principals")
assert pages.paginate(thingName="x").search("principals")
import urllib3.http2
assert urllib3.http2.version
from botocore.httpsession import CancelledError
print("all")
"""


def test_what_was_put_off_is_there_when_it_is_needed():
    """The real packages, in an interpreter that has no others."""
    made = bundle(bundle_for="host", architecture="arm64").directory
    command = [sys._base_executable, "-I", "-S", "-B", "-c", USES_ALL, made]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr
