"""The settings in ``cdk.json``, for a command that writes one of them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.errors import Refused
from fleet.files import read, write_public

CDK_JSON = Path("cdk.json")
_CONTEXT_KEY = "zymkey-fleet"


class CdkJson:
    """One ``cdk.json``."""

    def __init__(self, path: Path = CDK_JSON) -> None:
        """Read it.

        Raises:
            Refused: it cannot be read, or is not a ``cdk.json`` of this project.
        """
        self._path = path
        try:
            self._text = read(path, "CDK configuration").decode()
            self._content = json.loads(self._text)
            settings = self._content["context"][_CONTEXT_KEY]
        except (ValueError, KeyError, TypeError):
            settings = None
        if not isinstance(settings, dict):
            raise Refused(
                f"{str(path)!r} is not JSON with the object {_CONTEXT_KEY!r} in its context.",
                cure="run the command in the folder of this project's cdk.json",
            )
        self.settings: Mapping[str, Any] = settings

    def authorities(self) -> list[str]:
        """The names in the setting ``certificateAuthorities``; whatever is no name is left to ``cdk synth``."""
        listed = self.settings.get("certificateAuthorities")
        members = listed if isinstance(listed, list) else []
        return [str(each["name"]) for each in members if isinstance(each, dict) and "name" in each]

    def external_certificate(self) -> Path | None:
        """The file of the external CA, if the settings name one."""
        external = self.settings.get("externalCertificateAuthority")
        file = external.get("certificate") if isinstance(external, dict) else None
        return self._path.parent / file if isinstance(file, str) else None

    def write(self, name: str, value: Any) -> None:
        """Replace one setting. What else is in the file stays as it is written, if the setting stands there as null.

        Raises:
            Refused: the file cannot be written.
        """
        indent = next((len(line) - len(line.lstrip()) for line in self._text.splitlines() if line[:1].isspace()), 2)
        wanted = json.loads(self._text)
        wanted["context"][_CONTEXT_KEY][name] = value
        text = json.dumps(wanted, indent=indent, ensure_ascii=False) + "\n"
        placeholders = list(re.finditer(rf'^([ \t]*)"{re.escape(name)}"[ \t]*:[ \t]*null\b', self._text, re.MULTILINE))
        if len(placeholders) == 1:
            (found,) = placeholders
            lines = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", f"\n{found[1]}")
            edited = f'{self._text[: found.start()]}{found[1]}"{name}": {lines}{self._text[found.end() :]}'
            if json.loads(edited) == wanted:
                text = edited
        write_public(self._path, text.encode())
