"""``~`` and relative paths in settings, made absolute while it is known who typed them, and where.

A path that is kept (``device.json``, a unit of systemd) is read later by another user in another folder.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

# Attributes of a PKCS#11 URI (RFC 7512) that are paths.
_PATHS_IN_URI = re.compile(r"(?<=[?&])(pin-source|module-path)=([^&]*)")


def absolute(path: str) -> Path:
    """``path`` with ``~`` expanded, and from the root. It need not exist.

    Under sudo, ``~`` is the home of the person who typed it, as in that person's own shell, not root's.

    Raises:
        ValueError: there is no such user, or the user has no home.
    """
    if path.startswith("~"):
        user, _, rest = path[1:].partition("/")
        path = os.path.join(_home(user or _person()), rest)  # noqa: PTH118 - before it is a path
    return Path(path).absolute()


def absolute_key(uri: str) -> str:
    """A key's URI with the paths in it made absolute: the file of ``file:``, PIN file and module of ``pkcs11:``.

    Raises:
        ValueError: as ``absolute`` raises it.
    """
    if uri.startswith("file:"):
        path = uri.removeprefix("file:")
        return f"file:{absolute(path)}" if path else uri
    if uri.removeprefix("engine:").startswith("pkcs11:"):
        return _PATHS_IN_URI.sub(_absolute_attribute, uri)
    return uri


def _absolute_attribute(match: "re.Match[str]") -> str:
    name, value = match.group(1), unquote(match.group(2))
    path = value.removeprefix("file:")
    if path.startswith("/") or not path or (name == "module-path" and "/" not in path):
        # A module without a folder is looked for by the dynamic linker.
        return match.group()
    scheme = "file:" if name == "pin-source" else ""
    return f"{name}={scheme}{quote(str(absolute(path)))}"


def _person() -> str | None:
    """The user who typed sudo; None without sudo."""
    user = os.environ.get("SUDO_USER")
    return user if user and user != "root" and os.geteuid() == 0 else None


def _home(user: str | None) -> str:
    if user is None and (home := os.environ.get("HOME")):
        return home
    # Imported here: most runs have no such path.
    import pwd

    try:
        return (pwd.getpwuid(os.getuid()) if user is None else pwd.getpwnam(user)).pw_dir
    except KeyError:
        raise ValueError(f"this system has no user {user or os.getuid()}, whose home ~ would be") from None
