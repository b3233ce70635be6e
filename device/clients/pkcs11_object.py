"""A key as programs with PKCS#11 of their own ask for it: module, token, slot, label."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..keys.command_line import PKCS11_ENGINE
from ..keys.pkcs11 import Pkcs11Key
from ..keys.pkcs11_uri import parse
from .setup import Setup


@dataclass(frozen=True, kw_only=True)
class Pkcs11Object:
    """One key pair on a token. The PIN is in `pin_file`, or None when the user has to give it."""

    module: str
    token: str
    slot: int
    label: str
    identifier: str
    pin_file: Path | None


def pkcs11_object(setup: Setup, *, client: str) -> Pkcs11Object:
    """The device's key on its token. Raises UsageError for a key that is on none, and says what to do."""
    if isinstance(setup.key, Pkcs11Key):
        uri = parse(setup.settings.key.partition(":")[2])
        return Pkcs11Object(
            module=uri.module(),
            token=setup.key.token_label,
            slot=setup.key.slot,
            label=setup.key.label,
            identifier=setup.key.identifier.hex(),
            pin_file=uri.pin_source,
        )
    if setup.by_hand.engine == PKCS11_ENGINE:
        raise UsageError(
            f"{client} takes keys from PKCS#11 itself, and not through OpenSSL's engine.",
            cure=f"the same with --key {setup.key.uri.removeprefix('engine:')!r}",
        )
    if setup.by_hand.engine is not None:
        raise UsageError(
            f"{client} takes keys from PKCS#11 only, and this one is known as {setup.key.uri}.",
            cure="give the very same key a PKCS#11 name with Zymbit's tool (the certificate stays valid):"
            " zk_pkcs11-util --init-token --slot 0 --label zymkey, then"
            " zk_pkcs11-util --use-zkslot 0 --slot SLOT --label device --id 01, and this command again with"
            " --key 'pkcs11:token=zymkey;object=device'; or Python without PKCS#11: zymkey-iot config paho",
        )
    raise UsageError(
        f"{client} takes keys from PKCS#11, and this one is in a file.",
        cure="it takes the file itself, too, as its manual says; or: zymkey-iot config paho",
    )
