"""The file of CA certificates that a server is verified against, where the operator names one."""

import ssl
from pathlib import Path

from fleet.errors import SdkFailed


def refuse_unusable_roots(file: str, *, named_by: str) -> None:
    """Look at the file before a connection does: TLS libraries call it a connection that failed.

    Args:
        named_by: the settings that may name it.

    Raises:
        SdkFailed: why it cannot be used.
    """
    try:
        with Path(file).open("rb") as opened:
            opened.read(1)  # the TLS library's error for one that cannot be read does not say why
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a path with a null character
        why = getattr(error, "strerror", None) or type(error).__name__
        why = "it holds no CA certificate in PEM" if isinstance(error, ssl.SSLError) else why
        raise SdkFailed(
            f"The CA file {file!r} cannot be used: {why}.", cure=f"correct {named_by}, or take it out"
        ) from None
