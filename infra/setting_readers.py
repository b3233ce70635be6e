"""How one setting is read: its value checked, and what is wrong with it said in one sentence.

Which settings there are is said in ``infra.settings``.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pki.names import fits_a_common_name


class SettingsError(Exception):
    """A setting cannot be used. The message is one sentence with its name, its value and what is allowed."""


Reader = Callable[[str, Any], Any]
"""Takes a setting's full name and its value; checks the value and returns it as Python has it, or raises."""


def an_object(where: str, value: Any, readers: Mapping[str, tuple[str, Reader]]) -> dict[str, Any]:
    """The members that an object has, checked, under their Python names."""
    if not isinstance(value, dict):
        raise wrong(where, value, f"an object with {', '.join(readers)}")
    for name in value:
        if name not in readers:
            close = difflib.get_close_matches(name, readers, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(readers)}."
            raise SettingsError(f"{where}.{name} is not a setting; {hint}")
    return {
        python_name: reader(f"{where}.{name}", value[name])
        for name, (python_name, reader) in readers.items()
        if name in value
    }


def a_choice(*allowed: str | int) -> Reader:
    def read(where: str, value: Any) -> Any:
        if isinstance(value, bool) or value not in allowed:
            raise wrong(where, value, f"one of {', '.join(map(str, allowed))}")
        return value

    return read


def a_text(pattern: str, allowed: str) -> Reader:
    def read(where: str, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise wrong(where, value, allowed)
        return value

    return read


# X.520 ub-organization-name and others: at most 64 characters (RFC 5280 appendix A).
a_name = a_text(r"[^\x00-\x1f\x7f]{1,64}", "a string of 1 to 64 characters")


def a_common_name(where: str, value: Any) -> str:
    """X.520 ub-common-name is 64 characters; the ``cryptography`` package, which makes the name, counts bytes."""
    allowed = "a string of 1 to 64 bytes of UTF-8"
    name: str = a_text(r"[^\x00-\x1f\x7f]+", allowed)(where, value)
    if not fits_a_common_name(name):
        raise wrong(where, value, allowed)
    return name


def a_whole_number(lowest: int, highest: int) -> Reader:
    def read(where: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise wrong(where, value, f"a whole number from {lowest} to {highest}")
        return value

    return read


def a_whole_number_or_null(lowest: int, highest: int) -> Reader:
    def read(where: str, value: Any) -> int | None:
        if value is None or (type(value) is int and lowest <= value <= highest):
            return value
        raise wrong(where, value, f"null, or a whole number from {lowest} to {highest}")

    return read


def a_truth(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong(where, value, "true or false")
    return value


def wrong(where: str, value: Any, allowed: str) -> SettingsError:
    return SettingsError(f"{where} is {shown(value)}, but must be {allowed}.")


def shown(value: Any) -> str:
    """A value as the user wrote it, shortened so that the sentence stays readable."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
