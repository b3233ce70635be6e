"""What to type next when the ledger refuses: commands that work in the state that the device is in.

A command in a cure stands between backticks, or is followed by a comma or by nothing, so that a test can read it.
"""

from ledger import Device, Ledger, State

SEE_ALL = "zymkey-fleet list, which shows every device"
SEE_WAITING = "zymkey-fleet pending, which shows the keys that wait"


def free_first(device: str, *then: str) -> str:
    """The commands that free a device's name and key, and what to do with them afterwards.

    ``block`` comes first in every state: an interrupted one is completed, and ``remove`` wants it of a device in use.
    """
    name = positional(device)
    return " && ".join(f"zymkey-fleet {each}" for each in (f"block {name}", f"remove {name}", *then))


def positional(name: str) -> str:
    """A device's name as the last word of a command line: one that begins with a hyphen is an option otherwise."""
    return f"-- {name}" if name.startswith("-") else name


def if_name_is_taken(name: str, ledger: Ledger, *, then: str, key: str | None = None) -> str:
    """For a device of this name that has a key already.

    Args:
        then: the command that was refused, without ``zymkey-fleet``.
        key: the fingerprint of the key that it was to let in, if it has named one.
    """
    device = ledger.device(name)
    if device is None:  # removed meanwhile
        return f"zymkey-fleet {then}"
    replace = f"zymkey-fleet replace {positional(name)}"
    if key is not None:
        replace = f"zymkey-fleet replace --key {key} {positional(name)}"
    if device.waits_for_another_key:
        return replace
    keeps = f"if another HSM takes its place and keeps its thing: `{replace}`; " if device.fingerprint else ""
    return (
        f"{_as_it_is(device)}, or choose another name; {keeps}to give this name to another device: "
        f"{free_first(name, then)}"
    )


def if_not_replaced(name: str, key: str | None, ledger: Ledger) -> str:
    """For a device whose name no other key can take over."""
    device = ledger.device(name)
    if device is None:
        return SEE_ALL
    owner = ledger.owner_of_key(key) if key else None
    if owner is not None and owner.device != name:
        return f"zymkey-fleet show {positional(owner.device)}, which has this key"
    if device.fingerprint is not None:
        return _as_it_is(device)
    if device.state is State.BLOCKED:
        return f"zymkey-fleet unblock {positional(name)}, which lets its first key in"
    return f"zymkey-fleet invite {positional(name)}, or allow with --key: it lets the device's first key in"


def if_key_is_refused(name: str, fingerprint: str, ledger: Ledger, *, then: str) -> str:
    """For a key that may not be let in as ``name``: it belongs to another device, or the name does."""
    owner = ledger.owner_of_key(fingerprint)
    if owner is not None and owner.replaced_at is not None:
        return f"zymkey-fleet allow --key {fingerprint} {positional(name)}, if it is to be let in all the same"
    if owner is not None and owner.device != name:
        return (
            f"zymkey-fleet show {positional(owner.device)}, which has this key; to give the key the new name: "
            f"{free_first(owner.device, then)}"
        )
    return if_name_is_taken(name, ledger, then=then, key=fingerprint)


def if_not_removed(name: str, ledger: Ledger) -> str:
    return SEE_ALL if ledger.device(name) is None else free_first(name)


def _as_it_is(device: Device) -> str:
    if device.state is State.BLOCKED:
        return f"if it is the same device: `zymkey-fleet unblock {positional(device.name)}`"
    if device.state is State.INVITED:
        return (
            "if it is the same device, it may enroll as it is; attributes and groups of its thing: "
            f"`zymkey-fleet set {positional(device.name)}`"
        )
    return f"zymkey-fleet show {positional(device.name)}, if it is the same device"
