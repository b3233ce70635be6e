"""``pkcs11:`` is a key on a PKCS#11 token: an HSM6 or SCM through Zymbit's module, a smart card, SoftHSM.

It needs python-pkcs11, an extra: ``pip install '.[pkcs11]'``. The PIN is asked for at the first signature, so
showing the public key needs no PIN if the token shows public keys without one.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ..cures import pip_install
from ..errors import HsmNotAnswering, KeyUnavailable, LibraryUnusable, SlotUnusable
from .command_line import PKCS11_ENGINE, CommandLineKey
from .device_key import DeviceKey
from .pin import find_pin, open_to_others, pin_descriptor
from .pkcs11_errors import explained, patiently
from .pkcs11_uri import Pkcs11Uri, parse


class Pkcs11Key(DeviceKey):
    """A P-256 key pair on a token."""

    kind = "pkcs11"

    def __init__(self, uri: Pkcs11Uri, token: Any, public_object: Any, public_key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(str(uri), public_key)
        self._uri = uri
        self._token = token
        self._label, self._id = public_object.label, public_object.id
        self._private_object: Any = None
        self.warning = open_to_others(uri.pin_source)

    def sign_digest(self, digest: bytes) -> bytes:
        with explained(self._token.label):
            raw = patiently(lambda: self._sign_once(digest), self._forget_session)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def _sign_once(self, digest: bytes) -> bytes:
        import pkcs11

        if self._private_object is None:
            session = log_in(self._token, self._uri)
            criteria = {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
                pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC,
            }
            criteria |= {pkcs11.Attribute.ID: self._id} if self._id else {pkcs11.Attribute.LABEL: self._label}
            self._private_object = _only_one(list(session.get_objects(criteria)), self._uri)
        return bytes(self._private_object.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))

    def _forget_session(self) -> None:
        """The next signature opens a session anew, with the token in whichever slot it is then."""
        import pkcs11

        if self._private_object is not None:
            with suppress(pkcs11.PKCS11Error):
                self._private_object.session.close()
        self._private_object = None
        with suppress(KeyUnavailable):
            self._token = _find_token(pkcs11.lib(self._uri.module()), self._exact_token())

    def _exact_token(self) -> Pkcs11Uri:
        """The same token and no other, whichever slot it is in."""
        serial = self._token.serial.decode("ascii", "replace")
        return Pkcs11Uri(token=self._token.label, serial=serial, module_path=self._uri.module())

    def details(self) -> dict[str, str | int]:
        return {
            "model": self._token.model,
            "serial": self._token.serial.decode("ascii", "replace"),
            "token": self._token.label,
            "object": self._label,
            "module": self._uri.module(),
        }

    @property
    def token_label(self) -> str:
        return str(self._token.label)

    @property
    def slot(self) -> int:
        """The slot's id, which differs from its index and its label."""
        return int(self._token.slot.slot_id)

    @property
    def label(self) -> str:
        return str(self._label)

    @property
    def identifier(self) -> bytes:
        """The object's CKA_ID."""
        return bytes(self._id)

    def title(self) -> str:
        return f"PKCS#11 token {self._token.label}"

    def by_hand(self) -> CommandLineKey:
        return uri_by_hand(self._exact(), self._uri.module())

    def on_command_line(self) -> AbstractContextManager[CommandLineKey]:
        return uri_on_command_line(self._exact(), self._uri, self._token.label)

    def _exact(self) -> Pkcs11Uri:
        return Pkcs11Uri(token=self._token.label, object=self._label or None, id=self._id or None)


def uri_by_hand(uri: Pkcs11Uri, module: str) -> CommandLineKey:
    """The key for OpenSSL's engine ``pkcs11``, which asks for the PIN at the terminal."""
    return CommandLineKey(name=uri.for_engine(None), engine=PKCS11_ENGINE, environment={"PKCS11_MODULE_PATH": module})


@contextmanager
def uri_on_command_line(exact: Pkcs11Uri, uri: Pkcs11Uri, token: str) -> Iterator[CommandLineKey]:
    """The key for OpenSSL's engine ``pkcs11``: ``exact`` names the key, ``uri`` says where module and PIN are.

    The PIN goes through a file in memory, because the engine would read the final newline of the user's file as a part
    of the PIN.
    """
    with pin_descriptor(find_pin(uri.pin_source, token)) as descriptor:
        yield CommandLineKey(
            name=exact.for_engine(Path(f"/dev/fd/{descriptor}")),
            engine=PKCS11_ENGINE,
            environment={"PKCS11_MODULE_PATH": uri.module()},
            descriptors=(descriptor,),
        )


def open_pkcs11(rest: str) -> Pkcs11Key:
    """Find the key pair that the URI names; ``rest`` is the URI after ``pkcs11:``.

    Raises:
        UsageError: the URI is malformed.
        KeyUnavailable: there is no such module, token or key.
    """
    uri = parse(rest)
    try:
        import pkcs11
    except ModuleNotFoundError:
        raise LibraryUnusable(
            "the Python package for PKCS#11 is not installed.", cure=pip_install("python-pkcs11")
        ) from None
    module = uri.module()
    try:
        library = pkcs11.lib(module)
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise LibraryUnusable(
            f"the PKCS#11 module {module} cannot be loaded: {error}.", cure="check module-path in the key's URI"
        ) from None
    token = _find_token(library, uri)
    criteria: dict[Any, Any] = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC,
    }
    if uri.object is not None:
        criteria[pkcs11.Attribute.LABEL] = uri.object
    if uri.id is not None:
        criteria[pkcs11.Attribute.ID] = uri.id
    with explained(token.label):
        found = patiently(lambda: list(token.open().get_objects(criteria))) or _after_login(token, uri, criteria)
        public_object = _only_one(found, uri)
        return Pkcs11Key(uri, token, public_object, _point(public_object, uri))


def _after_login(token: Any, uri: Pkcs11Uri, criteria: dict[Any, Any]) -> list[Any]:
    """Some tokens show public keys only after a login."""
    try:
        session = log_in(token, uri)
    except KeyUnavailable:
        return []
    return list(session.get_objects(criteria))


def log_in(token: Any, uri: Pkcs11Uri) -> Any:
    """A session that may use private keys. The login is one for all sessions of this process (PKCS#11, 5.6)."""
    import pkcs11

    try:
        return token.open(user_pin=find_pin(uri.pin_source, token.label))
    except pkcs11.UserAlreadyLoggedIn:
        return token.open()


def _find_token(library: Any, uri: Pkcs11Uri) -> Any:
    import pkcs11

    with explained(uri.token or "wanted"):
        present = list(library.get_slots(token_present=True))
        tokens = [
            token
            for slot in present
            for token in [slot.get_token()]
            if pkcs11.TokenFlag.TOKEN_INITIALIZED in token.flags
            and uri.slot_id in (None, slot.slot_id)
            and uri.token in (None, token.label)
            and uri.serial in (None, token.serial.decode("ascii", "replace"))
            and uri.model in (None, token.model)
            and uri.manufacturer in (None, token.manufacturer_id)
        ]
        if len(tokens) == 1:
            return tokens[0]
        labels = ", ".join(sorted(slot.get_token().label or "(without a label)" for slot in present))
    if not tokens:
        raise HsmNotAnswering(
            f"no token fits {uri}.", cure=f"use one of the tokens that are present: {labels or 'none'}"
        )
    raise KeyUnavailable(f"{len(tokens)} tokens fit {uri}.", cure=f"name one of them with token=: {labels}")


def _only_one(found: list[Any], uri: Pkcs11Uri) -> Any:
    if len(found) == 1:
        return found[0]
    kind = "elliptic curve key"
    if not found:
        raise SlotUnusable(f"the token has no {kind} that fits {uri}.", cure="check object= and id= in the key's URI")
    labels = ", ".join(sorted(f"object={key.label}" for key in found))
    raise SlotUnusable(f"{len(found)} keys fit {uri}.", cure=f"name one of them: {labels}")


def _point(public_object: Any, uri: Pkcs11Uri) -> ec.EllipticCurvePublicKey:
    """The public key from CKA_EC_POINT: an OCTET STRING with the uncompressed point."""
    import pkcs11

    octets = bytes(public_object[pkcs11.Attribute.EC_POINT])
    point = octets[2:] if len(octets) == 67 and octets[:2] == b"\x04\x41" else octets
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise SlotUnusable(
            f"the key that {uri} names is not on the curve P-256, which AWS IoT requires.", cure="name another key"
        ) from None
