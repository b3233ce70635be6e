"""One HTTPS request with the ``curl`` command and an OpenSSL engine: the vendor's documented way.

    curl --cert certificate.pem --engine zymkey_ssl --key-type ENG --key nonzymkey.key URL

The fallback when this Python's OpenSSL cannot ask for signatures, and the way for ``engine:`` keys.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .certificate import DeviceCertificate
from .connection_errors import Wait, no_answer, untrusted_root
from .cures import ANOTHER_NETWORK, CHECK_CA_FILE, CHECK_DNS, CHECK_PROXY, SET_CLOCK
from .curl_engines import cure_for_no_engine
from .errors import (
    ClockWrong,
    DeviceError,
    HungUp,
    KeyUnavailable,
    NameNotResolved,
    NetworkError,
    PortClosed,
    ProxyFailed,
    UnexpectedReply,
    UsageError,
)
from .https import TIMEOUT, Reply
from .iot_https import refused
from .keys import DeviceKey
from .keys.command_line import ZYMKEY_ENGINE, CommandLineKey
from .keys.device_key import PAUSES
from .network import Network
from .shared_port import SHARED_PORT

_LARGEST_REPLY = 1 << 20
# curl's "problem with the local client certificate": before it connects, so nothing has been sent.
_NO_KEY = 58
OPEN_443 = f"port {SHARED_PORT} may be open, which curl cannot use here, but this process can: --tls signer"


class CurlExchange:
    """One device at one server of AWS IoT. Each request is a process, and one signature by the key."""

    def __init__(
        self,
        *,
        endpoint: str,
        port: int,
        certificate: DeviceCertificate,
        key: DeviceKey,
        roots: Path,
        network: Network,
    ) -> None:
        self._endpoint, self._port = endpoint, port
        self._network = network
        self._certificate = certificate
        self._key = key
        self._roots = roots

    def exchange(self, url: str, *, headers: Mapping[str, str] | None = None, message: bytes | None = None) -> Reply:
        """GET, or POST ``message``.

        Raises:
            DeviceError: curl did not get an answer: as ``https.request`` raises them, and CertificateRefused.
        """
        with (
            self._key.on_command_line() as key,
            _in_memory(self._certificate.pem) as certificate,
            _in_memory(message or b"") as sent,
        ):
            self._key.signatures += 1
            arguments = [
                argument for name, value in (headers or {}).items() for argument in ("--header", f"{name}: {value}")
            ]
            if message is not None:
                arguments += ["--data-binary", "@-"]
            command = self._command(key, [*arguments, url], certificate=f"/dev/fd/{certificate}")
            code, said, transfer = self._run(command, key, certificate, sent)
            # A bus may be busy. As in keys/engine.py, a token is asked once: the failure may be a wrong PIN.
            for pause in PAUSES if key.engine == ZYMKEY_ENGINE else ():
                if code != _NO_KEY:
                    break
                time.sleep(pause)
                code, said, transfer = self._run(command, key, certificate, sent)
        if code != 0:
            raise self._failure(code, said, key, transfer)
        return Reply(transfer.status, {"retry-after": transfer.retry_after}, transfer.body)

    def _run(
        self, command: list[str], key: CommandLineKey, certificate: int, message: int
    ) -> "tuple[int, str, _Transfer]":
        """Run curl once; return its exit code, what it said, and how far it came."""
        for descriptor in (certificate, message):
            os.lseek(descriptor, 0, os.SEEK_SET)
        with _in_memory(b"") as errors:
            try:
                curl = subprocess.Popen(
                    command,
                    stdin=message,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self._environment(key),
                    pass_fds=(certificate, *key.descriptors),
                )
            except FileNotFoundError:
                raise KeyUnavailable("there is no curl command.", cure="sudo apt install curl") from None
            output = self._whole_output(curl)
            said = os.pread(errors, _LARGEST_REPLY, 0).decode("utf-8", "replace").strip()
        return curl.returncode, said, _Transfer.read(output)

    def _whole_output(self, curl: "subprocess.Popen[bytes]") -> bytes:
        """What curl prints until it ends.

        Before its version 8.4, curl holds ``--max-filesize`` against an announced length alone.
        """
        with curl:
            output = b"" if curl.stdout is None else curl.stdout.read(2 * _LARGEST_REPLY)
            if len(output) == 2 * _LARGEST_REPLY:
                curl.kill()
                raise self._too_long()
        return output

    def _command(self, key: CommandLineKey, request: list[str], *, certificate: str) -> list[str]:
        """The command line; a message comes on stdin. ``-q`` comes first: it makes curl ignore ~/.curlrc."""
        return [
            *("curl", "-q", "--silent", "--show-error", "--tlsv1.2", "--max-time", f"{TIMEOUT:.0f}"),
            *("--cacert", str(self._roots), "--cert", certificate, *key.curl()),
            *("--max-filesize", str(_LARGEST_REPLY), "--path-as-is", "--write-out", _Transfer.FORMAT),
            *request,
        ]

    def _environment(self, key: CommandLineKey) -> dict[str, str]:
        """The key's, with the proxy of the settings in place of the environment's; no password is an argument."""
        names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
        environment = {name: value for name, value in key.full_environment().items() if name.lower() not in names}
        proxy = self._network.proxy_for(self._endpoint, self._port)
        return environment if proxy is None else {**environment, "https_proxy": proxy.url}

    def _failure(self, code: int, said: str, key: CommandLineKey, transfer: "_Transfer") -> DeviceError:
        """curl's exit codes, from its manual."""
        peer = f"{self._endpoint} port {self._port}"
        said = said.removeprefix(f"curl: ({code}) ").partition("\n")[0].rstrip(".")
        if code in (53, 54):
            return KeyUnavailable(
                f"curl cannot use the OpenSSL engine {key.engine}: {said}.", cure=cure_for_no_engine(key.engine or "")
            )
        if code == _NO_KEY:
            return KeyUnavailable(
                f"curl cannot use the certificate with the key in the {self._key.title()}: {said}.",
                cure="check whether the key answers: zymkey-iot key",
            )
        if code == 77:
            return UsageError(f"curl cannot read the CA file {self._roots}.", cure=CHECK_CA_FILE)
        if code == 60 and ("expired" in said or "not yet valid" in said):
            return ClockWrong(
                f"the certificate of {self._endpoint} is not valid now, by this machine's clock: {said}.",
                cure=SET_CLOCK,
            )
        if code == 60:
            return untrusted_root(self._endpoint, said, self._network.context.given_roots)
        if code == 63:
            return self._too_long()
        if code in (5, 97) or (code == 56 and ("CONNECT" in said or "proxy" in said)):
            return ProxyFailed(f"the proxy did not connect: {said}.", cure=CHECK_PROXY)
        if code in (35, 52, 55, 56):
            # From the handshake to the first read: this is how AWS IoT refuses a certificate.
            hung_up = HungUp(said or "the connection was closed", cure=ANOTHER_NETWORK)
            return refused(hung_up, self._endpoint, self._certificate)
        if code == 6:
            return NameNotResolved(f"the name of {peer} does not resolve.", cure=CHECK_DNS)
        if code == 7:
            return PortClosed(f"{peer} was not reached: {said}.", cure=f"check the network and the port{self._hint()}")
        if code == 28:
            failure = no_answer(peer=peer, host=self._endpoint, wait=transfer.wait, seconds=transfer.seconds)
            failure.cure += "" if failure.connected else self._hint()
            return failure
        return NetworkError(
            f"curl ended with {code}: {said}.",
            cure="man curl says what its exit code means; --tls signer does without it",
        )

    def _hint(self) -> str:
        return "" if self._port == SHARED_PORT else f"; {OPEN_443}"

    def _too_long(self) -> UnexpectedReply:
        return UnexpectedReply(f"{self._endpoint} sends an answer that is too long.", cure=ANOTHER_NETWORK)


@dataclass(frozen=True, kw_only=True)
class _Transfer:
    """What curl writes out when it ends, well or not. ``wait`` is what was not over then; ``seconds`` is the whole."""

    FORMAT: ClassVar[str] = "\n%{http_code} %{time_connect} %{time_appconnect} %{time_total} %header{retry-after}"

    body: bytes
    status: int
    wait: Wait
    seconds: float
    retry_after: str

    @classmethod
    def read(cls, output: bytes) -> "_Transfer":
        body, _, meta = output.rpartition(b"\n")
        status, connected, secured, seconds, retry_after = (meta.decode("latin-1").split(" ", 4) + [""] * 5)[:5]
        done = {Wait.TCP: connected, Wait.TLS: secured}
        try:
            wait = next((each for each, time in done.items() if not float(time or 0)), Wait.ANSWER)
            return cls(
                body=body,
                status=int(status or 0),
                wait=wait,
                seconds=float(seconds or TIMEOUT),
                retry_after=retry_after,
            )
        except ValueError:  # curl was killed, and this is the end of the body
            return cls(body=b"", status=0, wait=Wait.BODY, seconds=TIMEOUT, retry_after="")


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file in memory for curl to inherit: the certificate may not be in its place yet, while it is tried."""
    descriptor = os.memfd_create("curl", 0)
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
