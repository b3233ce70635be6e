"""Files that the command reads and writes: a full disk leaves no halves, and odd names and contents are told."""

import codecs
import resource
from contextlib import contextmanager

import pytest

from fleet.errors import Refused
from fleet.files import read, write_public, write_secret
from fleet.passphrase import passphrase
from tests.support.fleet.authority import fingerprint, new_key


@contextmanager
def full_after(octets):
    """A disk on which no file can grow beyond this size; what EFBIG is here, ENOSPC is on a full one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("write", [write_public, write_secret])
def test_a_full_disk_leaves_no_half_of_a_file(tmp_path, write):
    with full_after(100), pytest.raises(Refused, match="cannot be written: File too large"):
        write(tmp_path / "new" / "file", bytes(10_000))
    assert list((tmp_path / "new").iterdir()) == []
    write(tmp_path / "new" / "file", b"x")


def test_a_full_disk_leaves_no_half_of_a_ca(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    # Room for the key, and none for the certificate.
    with full_after(500):
        answer = run("ca", "create", tmp_path / "ca")
    assert (answer.code, "ca.crt' cannot be written" in answer.err) == (1, True)
    assert list((tmp_path / "ca").iterdir()) == []
    assert run("ca", "create", tmp_path / "ca").code == 0


def test_the_rest_of_an_interrupted_ca_create_is_told_as_one(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ZYMKEY_FLEET_PASSPHRASE", "open sesame")
    (tmp_path / "ca.key").touch()
    answer = run("ca", "create", tmp_path)
    assert (answer.code, "is there without its certificate" in answer.err) == (1, True)
    (tmp_path / "ca.key").unlink()
    assert run("ca", "create", tmp_path).code == 0
    assert "There is a CA in" in run("ca", "create", tmp_path).err


def test_an_older_file_stays_whole_on_a_full_disk(tmp_path):
    write_public(tmp_path / "file", b"older")
    with full_after(100), pytest.raises(Refused):
        write_public(tmp_path / "file", bytes(10_000))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"older"


def test_a_file_without_an_end_is_not_read_to_its_end(tmp_path):
    with pytest.raises(Refused, match="larger than 1 MiB"):
        read(tmp_path.__class__("/dev/zero"), "CSR")


@pytest.mark.parametrize("name", ["no-such", "a\0b", "x" * 300, "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(Refused, match="cannot be read"):
        read(tmp_path / name, "CSR")


@pytest.mark.parametrize(
    "content",
    [
        b"open sesame",
        b"open sesame\n",
        b"open sesame\r\nsecond line\r\n",
        codecs.BOM_UTF8 + b"open sesame\r\n",
        codecs.BOM_UTF16_LE + "open sesame\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "open sesame\n".encode("utf-16-be"),
    ],
)
def test_a_passphrase_file_is_read_as_editors_write_it(tmp_path, content):
    (tmp_path / "passphrase").write_bytes(content)
    assert passphrase("passphrase", file=tmp_path / "passphrase") == b"open sesame"


def test_a_passphrase_is_in_no_error_s_text(tmp_path):
    (tmp_path / "passphrase").write_bytes(b"correct horse battery staple\n")
    passphrase("passphrase", file=tmp_path / "passphrase")
    assert (
        "horse"
        not in Refused("It said: correct horse battery staple.", cure="correct horse battery staple").in_one_line
    )


def test_a_name_that_begins_with_a_hyphen_can_be_typed_and_is_told_how(run, cloud):
    answer = run("block", "-x")
    assert answer.code == 2
    assert "a name that begins with a hyphen comes last, after --" in answer.err
    answer = run("allow", "--key", fingerprint(new_key()), "--", "-x")
    assert answer.code == 0
    assert answer.out.endswith(" --name=-x\n")
    answer = run("invite", "--", "-x")
    assert answer.err.endswith("zymkey-fleet block -- -x && zymkey-fleet remove -- -x && zymkey-fleet invite -- -x\n")
    for words in (("block", "--", "-x"), ("remove", "--", "-x"), ("invite", "--", "-x")):
        assert run(*words).code == 0
