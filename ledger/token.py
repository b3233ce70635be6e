"""One-time tokens: what a device shows once, and what the ledger keeps of it."""

import hashlib
import secrets

# 256 bits: no one can guess a token, however long it is valid.
_TOKEN_BYTES = 32


def new_token() -> str:
    """A token that is a word for every shell and every program: it does not begin as an option does."""
    while True:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        if not token.startswith("-"):
            return token


def token_hash(token: str) -> str:
    """SHA-256 of a token, in hexadecimal. A token is random enough (256 bits) to need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
