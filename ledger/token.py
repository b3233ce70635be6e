"""One-time tokens: what a device shows once, and what the ledger keeps of it."""

import hashlib


def token_hash(token: str) -> str:
    """SHA-256 of a token, in hexadecimal. A token is random enough (256 bits) to need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
