"""One-time tokens."""

import secrets

from ledger.token import new_token, token_hash


def test_a_token_has_256_bits_and_each_is_another():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}  # 32 bytes in base64url without padding


def test_a_token_never_begins_as_an_option_does(monkeypatch):
    made = iter(["-abc", "--key", "good"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: next(made) if size == 32 else "")
    assert new_token() == "good"


def test_what_is_kept_of_a_token_is_its_sha256():
    assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
