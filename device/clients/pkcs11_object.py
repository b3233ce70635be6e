"""A key as programs with their own PKCS#11 need it: module, token, slot, label."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..keys.command_line import PKCS11_ENGINE
from ..keys.pkcs11 import Pkcs11Key
from ..keys.pkcs11_uri import parse
from .setup import Setup


@dataclass(frozen=True, kw_only=True)
class Pkcs11Object:
    """One key pair on a token. ``pin_file`` has the PIN; None when the user has to type it."""

    module: str
    token: str
    slot: int
    label: str
    identifier: str
    pin_file: Path | None


def pkcs11_object(setup: Setup, *, client: str) -> Pkcs11Object:
    """The device's key on its token.

    Raises:
        UsageError: the key is not on a PKCS#11 token. The error says what to do.
    """
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
            f"{client} uses PKCS#11 itself, and not OpenSSL's engine.",
            cure=f"the same command with --key {setup.key.uri.removeprefix('engine:')!r}",
        )
    if setup.by_hand.engine is not None:
        raise UsageError(
            f"{client} can only use keys in PKCS#11, and this key is {setup.key.uri}.",
            cure="give the same key a PKCS#11 name with Zymbit's tool (the certificate stays valid):"
            " zk_pkcs11-util --init-token --slot 0 --label zymkey, then"
            " zk_pkcs11-util --use-zkslot 0 --slot SLOT --label device --id 01, then this command again with"
            " --key 'pkcs11:token=zymkey;object=device'; or use Python without PKCS#11: zymkey-iot config paho",
        )
    raise UsageError(
        f"this configuration of {client} needs a key in PKCS#11, and this key is in a file.",
        cure=f"give {client} the file, as its manual says; or use Python: zymkey-iot config paho",
    )
