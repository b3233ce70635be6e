"""What to try, where more than one error has the same cure."""

import re
import sys

BOOTSTRAP = "sudo zymkey-iot bootstrap"
SET_CLOCK = "set the clock: sudo timedatectl set-ntp true; then check it: timedatectl"
CHECK_CA_FILE = (
    "name a file that this user may read with --ca-file (or CA_BUNDLE); or take back one that is kept: --ca-file ''"
)
CHECK_DNS = "check DNS: resolvectl status, or cat /etc/resolv.conf"
CHECK_PROXY = "check HTTPS_PROXY with its user and password; NO_PROXY lists the hosts to reach without the proxy"
ANOTHER_NETWORK = "the same command from another network; a firewall or a proxy in between may cause this"
LATER = "the same command again later; --give-up-after 1h waits longer"
TELL_OPERATOR = "tell the operator of the fleet, who finds the reason in its log; zymkey-iot doctor looks at this side"
MAKE_ROOM = "make room on the disk: df -h shows what is full, sudo journalctl --vacuum-size=50M removes old logs"


# Of the commands that work on a state folder.
_ON_STATE = re.compile(
    r"\bzymkey-iot (?:bootstrap|wait|renew|hooks|publish|status|doctor|config|credentials|service install)\b"
)


def for_state(text: str, state: str | None) -> str:
    """``text`` with ``--state`` in each command that it names, when the user has given it: without it, none works."""
    if state is None or "zymkey-iot" not in text:
        return text
    import shlex  # not at the top: most runs print no cure

    return _ON_STATE.sub(lambda command: f"{command[0]} --state {shlex.quote(state)}", text)


def pip_install(package: str) -> str:
    """How to install a package of PyPI for this program, which usually has a Python environment of its own."""
    return f"sudo {sys.executable} -m pip install {package}"
