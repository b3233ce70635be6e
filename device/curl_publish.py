"""Publish over HTTPS with the ``curl`` command and an OpenSSL engine: the vendor's documented way.

    curl --cert certificate.pem --engine zymkey_ssl --key-type ENG --key nonzymkey.key --data-binary @- URL

The fallback when this Python's OpenSSL cannot ask for signatures, and the way for ``engine:`` keys.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .certificate import DeviceCertificate
from .cures import ANOTHER_NETWORK, CHECK_CA_FILE, CHECK_DNS, CHECK_PROXY, SET_CLOCK
from .curl_engines import cure_for_no_engine
from .errors import (
    ClockWrong,
    DeviceError,
    HungUp,
    KeyUnavailable,
    NameNotResolved,
    NetworkError,
    NoAnswer,
    PortClosed,
    ProxyFailed,
    ServerNotTrusted,
    UsageError,
)
from .https import TIMEOUT, Reply
from .iot_https import publish_url, read_reply, refused
from .keys import DeviceKey
from .keys.command_line import CommandLineKey


class CurlPublisher:
    """One device at one data endpoint. Each publish is a process, and one signature by the key."""

    def __init__(
        self, *, endpoint: str, port: int, certificate: DeviceCertificate, key: DeviceKey, roots: Path
    ) -> None:
        self._endpoint, self._port = endpoint, port
        self._certificate = certificate
        self._key = key
        self._roots = roots
        self.how = f"curl, {key.title()}"

    def publish(self, topic: str, payload: bytes) -> str:
        """As ``HttpsPublisher.publish``: returns the trace id, raises the same errors."""
        with self._key.on_command_line() as key, _in_memory(self._certificate.pem) as certificate:
            self._key.signatures += 1
            try:
                result = subprocess.run(
                    self.command(key, topic, certificate=f"/dev/fd/{certificate}"),
                    input=payload,
                    capture_output=True,
                    env=key.full_environment(),
                    pass_fds=(certificate, *key.descriptors),
                    check=False,
                )
            except FileNotFoundError:
                raise KeyUnavailable("there is no curl command.", cure="sudo apt install curl") from None
        if result.returncode != 0:
            raise self._failure(result.returncode, result.stderr.decode("utf-8", "replace").strip(), key)
        body, _, meta = result.stdout.rpartition(b"\n")
        status, _, retry_after = meta.decode().partition(" ")
        return read_reply(Reply(int(status), {"retry-after": retry_after}, body), topic)

    def command(self, key: CommandLineKey, topic: str, *, certificate: str) -> list[str]:
        """The command line; the payload comes on stdin. ``-q`` comes first: it makes curl ignore ~/.curlrc."""
        return [
            *("curl", "-q", "--silent", "--show-error", "--tlsv1.2", "--max-time", f"{TIMEOUT:.0f}"),
            *("--cacert", str(self._roots), "--cert", certificate, *key.curl()),
            *("--write-out", "\n%{http_code} %header{retry-after}", "--data-binary", "@-"),
            publish_url(self._endpoint, self._port, topic),
        ]

    def _failure(self, code: int, said: str, key: CommandLineKey) -> DeviceError:
        """curl's exit codes, from its manual."""
        peer = f"{self._endpoint} port {self._port}"
        said = said.removeprefix(f"curl: ({code}) ").partition("\n")[0].rstrip(".")
        if code in (53, 54):
            return KeyUnavailable(
                f"curl cannot use the OpenSSL engine {key.engine}: {said}.", cure=cure_for_no_engine(key.engine or "")
            )
        if code == 58:
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
            return ServerNotTrusted(
                f"the certificate of {self._endpoint} is not trusted: {said}.",
                cure="check the clock (timedatectl); if a proxy opens TLS, give the proxy's root with --ca-file",
            )
        if code in (35, 52, 55, 56):
            # From the handshake to the first read: this is how AWS IoT refuses a certificate.
            hung_up = HungUp(said or "the connection was closed", cure=ANOTHER_NETWORK)
            return refused(hung_up, self._endpoint, self._certificate)
        if code == 6:
            return NameNotResolved(f"the name of {peer} does not resolve.", cure=CHECK_DNS)
        if code in (5, 97):
            return ProxyFailed(f"the proxy did not connect: {said}.", cure=CHECK_PROXY)
        if code == 7:
            return PortClosed(f"{peer} was not reached: {said}.", cure="check the network and the port")
        if code == 28:
            return NoAnswer(f"{peer} did not answer within {TIMEOUT:.0f} s.", cure=ANOTHER_NETWORK)
        return NetworkError(f"curl ended with {code}: {said}.")


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file in memory for curl to inherit: the certificate may not be in its place yet, while it is tried."""
    descriptor = os.memfd_create("certificate", 0)
    try:
        os.write(descriptor, content)
        yield descriptor
    finally:
        os.close(descriptor)
