"""Cards: what a device reads of them, who else may read them, and what a crash or a stranger can do to the folder."""

import argparse
import os
import shutil
import stat
from pathlib import Path

import pytest

from device.settings import load
from device.settings_files import CARD
from fleet.cards import FILE, Card, Cards, token_of
from fleet.errors import Refused
from ledger.token import new_token

TOKEN = new_token()
WHOLE = Card(url='https://enroll.example/a"b\\c', name="-pi_1", token=TOKEN, expires="2026-11-25T19:00:00Z")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "cards"


def modes(folder):
    return {
        str(each.relative_to(folder)): oct(stat.S_IMODE(each.lstat().st_mode)) for each in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "no token"])
def test_a_device_reads_from_its_card_what_was_written(folder, tmp_path, token):
    card = Card(url="https://enroll.example/v1", name="-pi_1", token=token, expires="2026-11-25T19:00:00Z")
    with Cards(folder) as cards:
        cards.write(card)
        assert cards.read("-pi_1") == card.text
        assert token_of(cards.read("-pi_1")) == token
    boot = tmp_path / "root" / str(CARD.parent).lstrip("/")
    shutil.copytree(folder / "-pi_1", boot)  # as a jig does
    settings = load(argparse.Namespace(), environ={}, root=tmp_path / "root", continuing=True, warn=pytest.fail)
    assert (settings.url, settings.name, settings.token) == (card.url, card.name, token)
    assert settings.sources["url"] == str(boot / FILE)


def test_no_character_of_an_address_ends_a_text(folder):
    with Cards(folder) as cards:
        cards.write(WHOLE)
        assert token_of(cards.read("-pi_1")) == TOKEN


def test_only_the_owner_may_read_cards(folder):
    before = os.umask(0)
    try:
        with Cards(folder) as cards:
            cards.write(WHOLE)
    finally:
        os.umask(before)
    assert modes(folder) == {".": "0o700", "-pi_1": "0o700", f"-pi_1/{FILE}": "0o600"}


def test_a_card_is_written_in_place_of_the_one_before_and_of_what_a_crash_left(folder):
    with Cards(folder) as cards:
        assert cards.read("pi-1") is None
        cards.write(Card(url="https://a.example", name="pi-1", token="first"))
        (folder / "pi-1" / f".{FILE}.new").write_text("half of")
        cards.write(Card(url="https://a.example", name="pi-1", token="second"))
        assert token_of(cards.read("pi-1")) == "second"
    assert [each.name for each in (folder / "pi-1").iterdir()] == [FILE]


def test_a_card_that_cannot_be_written_leaves_the_one_before(folder, monkeypatch):
    with Cards(folder) as cards:
        cards.write(Card(url="https://a.example", name="pi-1", token="first"))

        def full(_descriptor):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(Refused, match="cannot be kept: No space left on device"):
            patch.setattr("os.fsync", full)
            cards.write(Card(url="https://a.example", name="pi-1", token="second"))
        assert token_of(cards.read("pi-1")) == "first"
    assert [each.name for each in (folder / "pi-1").iterdir()] == [FILE]


def test_no_link_is_followed(folder, tmp_path):
    other = tmp_path / "others"
    (other / "pi-1").mkdir(parents=True)
    (other / "secret").write_text("untouched")
    with Cards(folder) as cards:
        (folder / "pi-1").symlink_to(other / "pi-1")
        (folder / "pi-2").mkdir()
        (folder / "pi-2" / FILE).symlink_to(other / "secret")
        for action in (cards.read, lambda name: cards.write(Card(url="https://a.example", name=name))):
            with pytest.raises(Refused, match="a link is in the way"):
                action("pi-1")
        with pytest.raises(Refused, match="a link is in the way"):
            cards.read("pi-2")
        cards.write(Card(url="https://a.example", name="pi-2"))  # takes the place of the link
        assert not (folder / "pi-2" / FILE).is_symlink()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(Refused, match="a link is in the way"):
        Cards(tmp_path / "link")
    assert ((other / "secret").read_text(), list((other / "pi-1").iterdir())) == ("untouched", [])


def test_a_folder_that_others_may_write_to_gets_no_secret(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o770)
    with pytest.raises(Refused, match="others may write to it") as refused:
        Cards(folder)
    assert "chmod 700" in refused.value.cure


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be kept"):
        Cards(tmp_path / "file")


def test_two_commands_do_not_write_cards_into_one_folder_at_once(folder):
    with Cards(folder), pytest.raises(Refused, match="Another command writes cards"):
        Cards(folder)
    Cards(folder).__exit__(None, None, None)


def test_a_disk_that_does_not_tell_capitals_keeps_the_first_of_two_cards(folder):
    with Cards(folder) as cards:
        cards.write(Card(url="https://a.example", name="PI-1", token="first"))
        (folder / "pi-1").mkdir()
        (folder / "pi-1" / FILE).hardlink_to(folder / "PI-1" / FILE)
        with pytest.raises(Refused, match="is the card of 'PI-1'"):
            cards.read("pi-1")


@pytest.mark.parametrize("text", ["", "token = ", "token = 5", "[" * 5000, "\0"])
def test_a_card_that_somebody_has_spoiled_has_no_token(folder, text):
    with Cards(folder) as cards:
        cards.write(WHOLE)
        Path(cards.path("-pi_1")).write_text(text)
        assert token_of(cards.read("-pi_1")) is None
