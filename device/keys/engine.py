"""``engine:`` is a key behind an OpenSSL engine, used through the ``openssl`` command: the vendor's documented way.

    engine:zymkey_ssl            the Zymkey's slot 0
    engine:zymkey_ssl:slot=1     another slot
    engine:pkcs11:token=fleet;object=device?module-path=…
    engine:ID:NAME               any other engine, and its name for the key

It does not need the vendor's Python module, and it works when this Python's OpenSSL cannot ask for signatures.
"""

import re
import subprocess
import time
from contextlib import AbstractContextManager

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ..errors import KeyUnavailable, LibraryUnusable, SlotUnusable, UsageError
from . import pkcs11_uri
from .command_line import PKCS11_ENGINE, ZYMKEY_ENGINE, CommandLineKey, zymkey_on_command_line
from .device_key import PAUSES, DeviceKey
from .pin import open_to_others
from .pkcs11 import uri_by_hand, uri_on_command_line

TIMEOUT = 60

# When OpenSSL does not have the engine; and, from OpenSSL 4 on, has no engines, no such command and no such option.
_NO_ENGINE = re.compile(
    r"could not load the shared library|no such engine|invalid engine|Engine .* not found"
    r"|Invalid command 'engine'|Unknown option.*: -?engine",
    re.IGNORECASE,
)


class EngineKey(DeviceKey):
    """A P-256 key that ``openssl -engine`` can use."""

    kind = "engine"

    def __init__(self, uri: str) -> None:
        self._engine, _, self._rest = uri.removeprefix("engine:").partition(":")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", self._engine):
            raise UsageError(f"the key {uri!r} names no engine.", cure="--key engine:zymkey_ssl")
        super().__init__(uri, self._read_public_key())
        if self._engine == PKCS11_ENGINE:
            self.warning = open_to_others(pkcs11_uri.parse(self._rest).pin_source)

    def sign_digest(self, digest: bytes) -> bytes:
        with self.on_command_line() as key:
            return _openssl(["pkeyutl", "-sign", *key.openssl("-inkey")], key, stdin=digest)

    def request(self, subject: x509.Name) -> x509.CertificateSigningRequest:
        """With ``openssl req``, as the vendor documents."""
        self.signatures += 1
        text = "".join(f"/{rdn.rfc4514_string().replace('/', chr(92) + '/')}" for rdn in subject.rdns)
        with self.on_command_line() as key:
            der = _openssl(["req", "-new", "-sha256", "-batch", "-subj", text, "-outform", "DER", *key.openssl()], key)
        return x509.load_der_x509_csr(der)

    def details(self) -> dict[str, str | int]:
        return {"engine": self._engine, **({"slot": _slot(self._rest)} if self._engine == ZYMKEY_ENGINE else {})}

    def title(self) -> str:
        return f"OpenSSL engine {self._engine}"

    def by_hand(self) -> CommandLineKey:
        if self._engine == ZYMKEY_ENGINE:
            return zymkey_on_command_line(_slot(self._rest))
        if self._engine == PKCS11_ENGINE:
            uri = pkcs11_uri.parse(self._rest)
            return uri_by_hand(uri, uri.module())
        return CommandLineKey(name=self._rest or "key", engine=self._engine)

    def on_command_line(self) -> AbstractContextManager[CommandLineKey]:
        if self._engine != PKCS11_ENGINE:
            return super().on_command_line()
        uri = pkcs11_uri.parse(self._rest)
        return uri_on_command_line(uri, uri, uri.token or "")

    def _read_public_key(self) -> ec.EllipticCurvePublicKey:
        key = self.by_hand()
        # The engine pkcs11 can read the public key alone, without a PIN; Zymbit's engine knows only the private key.
        public = ["-pubin"] if self._engine == PKCS11_ENGINE else []
        pem = _openssl(["pkey", *public, *key.openssl_in(), "-pubout"], key)
        public_key = serialization.load_pem_public_key(pem)
        if isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP256R1):
            return public_key
        raise SlotUnusable(
            f"the key behind the engine {self._engine} is not on the curve P-256, which AWS IoT requires.",
            cure="use another slot or another key: zymkey-iot key --help",
        )


def _slot(rest: str) -> int:
    match = re.fullmatch(r"(?:slot=(\d{1,3}))?", rest)
    if not match:
        raise UsageError(f"the key engine:zymkey_ssl:{rest} is not understood.", cure="--key engine:zymkey_ssl:slot=1")
    return int(match.group(1) or 0)


def find_engine(engine: str) -> str:
    """What OpenSSL says of the engine: ``(zymkey_ssl) …``.

    Raises:
        LibraryUnusable: OpenSSL does not have it.
    """
    return _openssl(["engine", engine], CommandLineKey(name="", engine=engine)).decode("utf-8", "replace").strip()


def _openssl(arguments: list[str], key: CommandLineKey, *, stdin: bytes | None = None) -> bytes:
    """Run ``openssl`` and return its output. With a Zymkey, whose bus may be busy, it is tried three times at most.

    A token is asked once: the failure may be a wrong PIN, of which another try could be one too many.

    Raises:
        KeyUnavailable: it failed. The error has its message.
    """
    for pause in PAUSES if key.engine == ZYMKEY_ENGINE else ():
        try:
            return _once(arguments, key, stdin=stdin)
        except (LibraryUnusable, _TooLong):
            raise
        except KeyUnavailable:
            time.sleep(pause)
    return _once(arguments, key, stdin=stdin)


class _TooLong(KeyUnavailable):
    """Another try could take as long again."""

    @property
    def kind(self) -> str:
        return "key-unavailable"


def _once(arguments: list[str], key: CommandLineKey, *, stdin: bytes | None) -> bytes:
    try:
        result = subprocess.run(
            ["openssl", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=key.full_environment(),
            pass_fds=key.descriptors,
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise LibraryUnusable("there is no openssl command.", cure="sudo apt install openssl") from None
    except subprocess.TimeoutExpired:
        raise _TooLong(
            f"openssl with the engine {key.engine} did not end within {TIMEOUT} s.",
            cure="power the Pi off and on; then zymkey-iot doctor",
        ) from None
    if result.returncode == 0 and result.stdout:
        return result.stdout
    raise _explained(result.stderr.decode("utf-8", "replace"), key)


def _explained(said: str, key: CommandLineKey) -> KeyUnavailable:
    if _NO_ENGINE.search(said):
        return LibraryUnusable(
            f"OpenSSL has no engine {key.engine}.",
            cure="install the engine: Zymbit's host software has zymkey_ssl, apt's libengine-pkcs11-openssl has pkcs11;"
            " openssl version -e shows the folder of engines, or set $OPENSSL_ENGINES (OpenSSL 4 has no engines)",
        )
    # thread:error:code:library:function:reason:file:line:data; the first error is the engine's own.
    errors = [line.split(":", 8) for line in said.splitlines() if ":error:" in line]
    reason = (errors[0][-1] or errors[0][5]) if errors and len(errors[0]) == 9 else said.strip().rpartition("\n")[2]
    return KeyUnavailable(
        f"openssl cannot use the key behind the engine {key.engine}: {reason}.",
        cure="run the same command by hand, which shows more: zymkey-iot explain",
    )
