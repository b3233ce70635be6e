"""The templates as they were last looked at by a person: committed, compared, renewed with `make snapshot`.

Hashes of code assets are left out, so that a change of the functions' code alone changes no snapshot.
"""

import json
import re
from pathlib import Path
from typing import Any

from pki.issuers import ISSUERS
from tests.template import permissions_document
from tests.template.synthesis import Template, synthesize

SNAPSHOTS = Path(__file__).parent / "snapshots"

_ASSET_KEY = re.compile(r"[0-9a-f]{64}(?=\.(zip|json)\b)")


def current() -> dict[str, str]:
    """What the snapshots would be now: file name to content."""
    return {
        f"{issuer}-{stack}.json": normalized(template)
        for issuer in ISSUERS
        for stack, template in (
            ("trust", synthesize(issuer=issuer).trust),
            ("enrollment", synthesize(issuer=issuer).enrollment),
        )
    }


def normalized(template: Template) -> str:
    return json.dumps(_without_hashes(template.body), indent=1, ensure_ascii=False) + "\n"


def _without_hashes(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_hashes(member) for name, member in value.items()}
        case list():
            return [_without_hashes(member) for member in value]
        case str():
            return _ASSET_KEY.sub("<asset>", value)
        case _:
            return value


def renew() -> None:
    SNAPSHOTS.mkdir(exist_ok=True)
    for old in SNAPSHOTS.glob("*.json"):
        old.unlink()
    for name, content in current().items():
        (SNAPSHOTS / name).write_text(content)
    permissions_document.renew()


if __name__ == "__main__":
    renew()
