"""What the operator is told to type next can be typed, and works in the state that the device is in."""

import ast
import re
import shlex
import time
from pathlib import Path

import pytest

import fleet.cli
from fleet import cures
from tests.support.fleet.authority import fingerprint, new_key
from tests.support.fleet.deployment import enroll, renew

FLEET = Path(fleet.cli.__file__).parent
KEY = "SHA256:" + "A" * 43
# What stands in a cure for what the command knows when it runs.
STANDS_FOR = {"fingerprint": KEY, "NAME": "pi-1", "FINGERPRINT": KEY}


def commands(cure):
    """The command lines in a cure: between backticks, or up to a comma, a bracket, `&&` or the end."""
    quoted = re.findall(r"`(zymkey-fleet [^`]*)`", cure)
    bare = re.findall(r"zymkey-fleet [^,;()&]*", re.sub(r"`[^`]*`", "", cure))
    return [" ".join(each.split()) for each in (*quoted, *bare)]


def texts(path):
    """Every text of a module but docstrings and --help, with examples in place of what it fills in."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            skipped.add(node.body[0].value)
        if isinstance(node, ast.FunctionDef) and node.name == "configure":
            skipped.update(ast.walk(node))
        if isinstance(node, ast.JoinedStr):
            skipped.update(each for each in ast.walk(node) if each is not node and isinstance(each, ast.Constant))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else STANDS_FOR.get(ast.unparse(part.value), "pi-1")
                for part in node.values
            )


CURES = sorted(
    {
        command
        for path in FLEET.rglob("*.py")
        if path.name not in ("cli.py", "arguments.py")
        for text in texts(path)
        if "zymkey-fleet " in text and not text.startswith("zymkey-fleet: ")
        for command in commands(text)
    }
)


def test_there_are_cures():
    assert len(CURES) >= 10
    assert "zymkey-fleet unblock pi-1" in CURES


@pytest.mark.parametrize("command", CURES)
def test_every_command_in_a_cure_is_one_that_the_parser_takes(command):
    words = [STANDS_FOR.get(word, word) for word in shlex.split(command)[1:]]
    if words == ["pi-1"]:  # the form of cures.free_first, whose parts are tried below
        return
    complete = [*words, "--ca-cert", "ca.crt"] if words == ["ca", "check"] else words
    assert callable(fleet.cli._parser().parse_args(complete).run)


def put(cloud, name):
    """Put the device into the state that it is called by, with the key ``KEYS[name]``, if it has one."""
    now = int(time.time())
    if name == "invited":
        cloud.ledger.invite(name, token_hash="hash", token_expires=now + 60, by="alice", now=now)
    elif name in ("allowed", "pending", "half-blocked"):
        cloud.ledger.allow(name, fingerprint=KEYS[name], by="alice", now=now)
        if name != "allowed":
            cloud.ledger.acquire_lease(name, fingerprint=KEYS[name], lease="mine", lease_until=now + 25, now=now)
    else:
        enroll(cloud, name, PRIVATE[name])
    if name == "renewed":
        renew(cloud, name, PRIVATE[name])
    if "blocked" in name:
        cloud.ledger.block(name, by="alice", now=now)


NAMES = ["invited", "allowed", "pending", "half-blocked", "enrolled", "renewed", "blocked"]
PRIVATE = {name: new_key() for name in NAMES}
KEYS = {name: fingerprint(key) for name, key in PRIVATE.items()}


def follow(run, cure):
    """Type the longest chain of commands in a cure, as a shell would."""
    chain = [each.strip(" `") for each in cure.rpartition(": ")[2].split("&&")]
    for command in chain:
        _, *words = shlex.split(command)
        answer = run(*words)
        assert answer.code == 0, (command, answer.err)


def cure_of(answer):
    assert answer.code == 1
    return answer.err.partition("\nTry: ")[2].strip()


@pytest.mark.parametrize("name", NAMES)
def test_the_cure_for_a_name_or_a_key_that_is_taken_works_in_every_state(run, cloud, name):
    put(cloud, name)
    if name == "invited":
        assert run("invite", name).code == 0  # it has no key: another token takes the first one's place
        return
    follow(run, cure_of(run("invite", name)))
    assert cloud.ledger.device(name).fingerprint is None
    assert cloud.ledger.device(name).token_expires is not None


@pytest.mark.parametrize("name", ["allowed", "enrolled", "blocked"])
def test_the_cure_for_a_key_of_another_device_works(run, cloud, name):
    put(cloud, name)
    follow(run, cure_of(run("allow", "new-name", "--key", KEYS[name])))
    assert cloud.ledger.device_of_key(KEYS[name]).name == "new-name"


@pytest.mark.parametrize("name", ["pending", "half-blocked", "renewed"])
def test_the_cure_for_another_key_of_a_device_works(run, cloud, name):
    put(cloud, name)
    other = fingerprint(new_key())
    follow(run, cure_of(run("allow", name, "--key", other)))
    assert cloud.ledger.device(name).fingerprint == other


@pytest.mark.parametrize("name", ["pending", "enrolled", "renewed"])
def test_the_cure_for_a_device_that_is_not_removed_works(run, cloud, name):
    put(cloud, name)
    follow(run, cure_of(run("remove", name)))
    assert cloud.ledger.device(name) is None


@pytest.mark.parametrize("name", ["blocked", "half-blocked"])
def test_a_blocked_device_that_is_the_same_is_let_in_again(run, cloud, name):
    put(cloud, name)
    cure = cure_of(run("invite", name))
    (first, *_) = commands(cure)
    assert first == f"zymkey-fleet unblock {name}"
    follow(run, first)
    assert cure_of(run("invite", name)) != cure


def test_the_cure_for_an_approval_is_to_look_or_to_free_the_name(run, cloud):
    put(cloud, "enrolled")
    stranger = fingerprint(new_key())
    assert cure_of(run("approve", stranger, "--name", "pi-9")) == cures.SEE_WAITING
    cloud.ledger.hold_for_approval(fingerprint=stranger, suggested_name="pi-9", now=int(time.time()))
    follow(run, cure_of(run("approve", stranger, "--name", "enrolled")))
    assert cloud.ledger.device("enrolled").fingerprint == stranger
