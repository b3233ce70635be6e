"""``make fleet NAME=acme``: the choices of a new fleet, written into cdk.json before its first deployment.

Two fleets in one account must not share topics, nor CAs a subject, so these choices have the fleet's name in them. They
are no defaults: the cdk.json of a deployed fleet is updated with this project, and its topics must not change by that.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.setting_readers import SettingsError
from infra.settings import CONTEXT_KEY, Settings
from infra.topics import DEVICE, FLEET

CDK_JSON = Path(__file__).parents[1] / "cdk.json"

TOPIC = f"{FLEET}/{DEVICE}/*"


def choices(name: str, *, year: int) -> dict[str, Any]:
    """The settings that a new fleet gets."""
    return {
        "fleet": name,
        "certificateAuthorities": [
            {
                "name": str(year),
                "commonName": f"{name} fleet CA",
                "organization": name,
                "validityYears": 20,
                "retired": False,
            }
        ],
        "topics": {"publish": [TOPIC], "subscribe": [TOPIC]},
    }


def new_fleet(name: str, *, file: Path, year: int, replace: bool) -> str:
    """Write a new fleet's choices into ``file``, and return a sentence about it. Doing it twice is doing it once.

    Raises:
        SettingsError: the name cannot be a fleet's, or the file has other choices than those that the project ships.
        OSError: the file cannot be read or written.
    """
    content = json.loads(file.read_text())
    context = content["context"]
    wanted = Settings.from_context({**context, CONTEXT_KEY: {**context[CONTEXT_KEY], **choices(name, year=year)}})
    present, shipped = Settings.from_context(context), Settings()
    if present.fleet == wanted.fleet:
        return f"{file.name} has the choices of the fleet {name} already: nothing is changed."
    made = ("fleet", "certificate_authorities", "topics")
    if not replace and any(getattr(present, each) != getattr(shipped, each) for each in made):
        raise SettingsError(
            f"{file.name} has other choices already, those of the fleet {present.fleet}: a fleet that is deployed "
            f"needs them. To replace its name, CAs and topics all the same: make fleet NAME={name} REPLACE=yes"
        )
    context[CONTEXT_KEY] |= choices(name, year=year)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return (
        f"{file.name} has the name {name}, topics {TOPIC} and a CA of its own now. If the fleet {present.fleet} is "
        f"deployed from this file, undo it: git checkout {file.name}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--replace", action="store_true")
    arguments = parser.parse_args()
    try:
        done = new_fleet(arguments.name, file=CDK_JSON, year=datetime.now(UTC).year, replace=arguments.replace)
    except (SettingsError, OSError) as error:
        sys.exit(f"make fleet: {error}")
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main()
