"""Let systemd run bootstrap at the first boot, when network and clock are ready, and renew when a renewal is due.

    install     write the units, make the user zymkey-iot, enable and start the units, prove that they reach the key
    uninstall   stop and remove the units; the certificate, the user and the hooks stay
    status      show which units are installed, and what they do

The service reads url, name and token from /etc/zymkey-iot.toml or /boot/firmware/zymkey-iot.toml, or has them from the
last bootstrap. State folder, key and the place of the hooks are written into the units: install again when they change.
"""

import argparse
from pathlib import Path

from . import options

NOT_INSTALLED = 2


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", metavar="ACTION", choices=("install", "uninstall", "status"), help="install, uninstall or status"
    )
    parser.add_argument(
        "--root", metavar="DIR", type=Path, default=Path("/"), help="folder with the files of another system"
    )
    parser.add_argument(
        "--command", metavar="PATH", type=Path, help="the zymkey-iot that the service runs, if not this one"
    )
    parser.add_argument(
        "--group",
        metavar="NAME",
        action="append",
        help="group that may use the key, instead of the groups that are found; can be given more than once",
    )
    options.add_key(parser)
    options.add_state(parser)
    options.add_json(parser)
    options.add_examples(
        parser,
        "sudo zymkey-iot service install",
        "sudo zymkey-iot service install --state /data/zymkey-iot --key zymkey:slot=1",
        "zymkey-iot service install --root /mnt/sdcard   (an image on another computer)",
        "zymkey-iot service status",
    )


def run(arguments: argparse.Namespace) -> int:
    from ..service import installation

    root = arguments.root.absolute()
    if arguments.action == "status":
        return _status(installation.status(root=root), as_json=arguments.json)
    done: list[str] = []
    say = done.append if arguments.json else print
    if arguments.action == "uninstall":
        installation.uninstall(root=root, say=say)
    else:
        from ..service import command, description

        installation.check_rights(root)
        program = arguments.command
        program = command.visible_command(program, root) if program else command.installed_command()
        settings = description.read_settings(arguments, root)
        service = description.describe(settings, command=program, groups=arguments.group, root=root)
        installation.install(service, settings, root=root, say=say)
    if arguments.json:
        import json

        print(json.dumps({"ok": True, "done": [" ".join(line.split()) for line in done]}, indent=2))
    return 0


def _status(units: list, *, as_json: bool) -> int:  # type: ignore[type-arg]
    installed = all(unit.installed for unit in units)
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps({"ok": installed, "units": [asdict(unit) for unit in units]}, indent=2))
    else:
        for unit in units:
            start = {None: "started by the timer", True: "enabled", False: "not enabled"}[unit.enabled]
            there = f"{start}, {unit.state}" if unit.installed else "not installed"
            print(f"{unit.name:<30} {there}")
        if not installed:
            print("Try: sudo zymkey-iot service install")
    return 0 if installed else NOT_INSTALLED
