"""The file that a key's URI names, outside the state folder."""

from pathlib import Path

from . import pkcs11_uri


def named_file(uri: str) -> tuple[str, Path] | None:
    """What the file is, and its path: a software key, or a PIN; None when the URI names none.

    Raises:
        UsageError: the URI is malformed.
    """
    kind, _, rest = uri.removeprefix("engine:").partition(":")
    if kind == "file" and rest:
        return "the key", Path(rest)
    source = pkcs11_uri.parse(rest).pin_source if kind == "pkcs11" else None
    return None if source is None else ("the PIN file", source)
