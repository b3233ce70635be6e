"""How a path or any other text is written into the files of systemd, so that systemd reads the same text again.

Quotes and backslashes are systemd.syntax(7), ``%`` systemd.unit(5), section specifiers.
"""

from ..errors import UsageError


def check_writable(text: str, what: str) -> str:
    """``text``, which has no line end and no other control character, and is UTF-8.

    Raises:
        UsageError: it is not, and no unit can have it.
    """
    if text.isprintable():
        return text
    raise UsageError(
        f"{what} {text!r} has a character in it that a unit of systemd cannot have.", cure="use another name for it"
    )


def check_executable(path: str) -> str:
    """The path of a program: systemd starts none with a quote or a backslash in its path.

    Raises:
        UsageError: the path has one, or another character that no unit can have.
    """
    if not any(character in path for character in "\"'\\"):
        return check_writable(path, "the path of the command")
    raise UsageError(
        f"systemd starts no program with a quote or a backslash in its path: {path}.",
        cure="install it in another place: sudo python3 -m venv /opt/zymkey-iot (README)",
    )


def unspecified(text: str) -> str:
    """Without specifiers: for a value that is the rest of the line, as that of ``ConditionPathExists=``."""
    return text.replace("%", "%%")


def quoted(text: str) -> str:
    """One word of a list, as in ``Environment=``, ``StateDirectory=``, ``ReadWritePaths=``, and a program's path."""
    escaped = unspecified(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def glob_quoted(path: str) -> str:
    """A path of tmpfiles.d(5) that takes patterns, so that this one names itself alone."""
    return quoted("".join("\\" + character if character in "*?[]{}\\" else character for character in path))
