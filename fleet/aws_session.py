"""The AWS SDK with the operator's configuration, tried before it is used: what is wrong with it is told in its words.

The SDK looks at most of its settings when it sends the first request, and raises then whatever its parts raise: bare
``ValueError`` for an endpoint, ``OSError`` for a CA file, a JSON parser's error for a credential program.
"""

from __future__ import annotations

import getpass
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from fleet.credential_programs import CredentialPrograms
from fleet.errors import NoCredentials, SdkFailed
from fleet.proxies import refuse_unusable_proxies
from fleet.redaction import keep_out
from fleet.sdk_errors import sentence
from fleet.text import printable
from fleet.time_limit import TimeIsUp, within
from fleet.trusted_roots import refuse_unusable_roots

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

# At a time: as many as ``fleet.side_by_side`` works with. A thread that finds none of them free would make one for
# itself and close it after its call, with a new TLS handshake each time.
CONNECTIONS = 16
_CONFIG = Config(
    max_pool_connections=CONNECTIONS,
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=10,
    read_timeout=30,
    user_agent_extra="zymkey-fleet",
)
# For thousands of calls in a row: the SDK finds the rate that AWS permits and keeps to it, and a call is given up after
# some minutes of throttling.
_PATIENT = _CONFIG.merge(Config(retries={"mode": "adaptive", "total_max_attempts": 15}))
# A person may have to touch a key or answer a question of the credential program.
_CREDENTIALS_SECONDS = 120


class AwsSession:
    """Credentials that are there, and clients for them."""

    def __init__(self, *, profile: str | None, region: str | None) -> None:
        """Read the configuration and get the credentials.

        Raises:
            NoCredentials, SdkFailed: there are none, or they, the proxy or the CA file cannot be used.
            BotoCoreError, ClientError: the SDK's own, and AWS's.
        """
        self._config = _CONFIG
        # As every other AWS SDK does; this one knows AWS_DEFAULT_REGION alone.
        chosen = region or os.environ.get("AWS_REGION") or None
        self._session = boto3.session.Session(profile_name=profile, region_name=chosen)
        # Its own prompt reads a standard input that is no terminal, and warns of that in many lines.
        resolver = self._session._session.get_component("credential_provider")
        resolver.get_provider("assume-role")._prompter = _mfa_code
        programs = CredentialPrograms()
        programs.watch(self._session)
        refuse_unusable_proxies()
        _refuse_unusable_roots(self._session)
        try:
            credentials = _credentials(self._session)
        finally:
            programs.end()
        if credentials is not None:
            _refuse_unusable_credentials(credentials)

    def client(self, service: str) -> Any:
        """A client for a service.

        Raises:
            SdkFailed: the endpoint that is configured is no URL.
            BotoCoreError: the SDK's own, such as for no Region.
        """
        try:
            client = self._session.client(service, config=self._config)  # type: ignore[call-overload]
            endpoint = urlsplit(client.meta.endpoint_url)
            usable = endpoint.scheme in ("http", "https") and endpoint.hostname and endpoint.port != 0
        except ValueError as error:
            if isinstance(error, BotoCoreError):  # some of them are both
                raise
            raise _wrong_endpoint(service, sentence(error)) from None
        if not usable or "@" in endpoint.netloc:
            raise _wrong_endpoint(service, "it is no URL of the form https://HOST:PORT.")
        return client

    def patient(self) -> AwsSession:
        """The same credentials, for a long work: what AWS throttles is tried again for minutes."""
        other = copy(self)
        other._config = _PATIENT
        return other


def _mfa_code(prompt: str) -> str:
    """What the person types.

    Raises:
        EOFError: there is no terminal to type on.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise EOFError
    return getpass.getpass(printable(prompt))


def _wrong_endpoint(service: str, why: str) -> SdkFailed:
    return SdkFailed(
        f"The endpoint that is configured for {service} cannot be used: {why}",
        cure="write it with its scheme, as in http://localhost:4566 ($AWS_ENDPOINT_URL, or the profile's endpoint_url)",
    )


def _credentials(session: boto3.session.Session) -> ReadOnlyCredentials | None:
    """The credentials; in a thread, since nothing bounds the time of a credential program that hangs."""

    def find() -> ReadOnlyCredentials | None:
        credentials = session.get_credentials()
        return credentials.get_frozen_credentials() if credentials is not None else None

    with _terminal_as_it_was():
        try:
            return within(_CREDENTIALS_SECONDS, find)
        except TimeIsUp:
            raise NoCredentials(
                f"What the AWS profile gets its credentials from has not answered within {_CREDENTIALS_SECONDS} s.",
                cure="run its credential_process by hand, and look at what it waits for",
            ) from None


@contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """A prompt that is left by Ctrl-C or for its time leaves the terminal without its echo."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    try:
        attributes = termios.tcgetattr(sys.stdin)
    except termios.error:  # something that only says that it is one
        yield
        return
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)


def _refuse_unusable_credentials(credentials: ReadOnlyCredentials) -> None:
    """Also remember them, so that no error repeats them. They go into a header: one word each, of ASCII."""
    keep_out(credentials.secret_key)
    keep_out(credentials.token)
    parts = {
        "access key id": credentials.access_key or "",
        "secret access key": credentials.secret_key or "",
        "session token": credentials.token or "none",
    }
    for name, value in parts.items():
        if not (value.isascii() and value.isprintable() and value and " " not in value):
            raise NoCredentials(
                f"The AWS {name} is empty, or holds a blank, a line break or a character that is not ASCII.",
                cure=f"give the {name} without what was copied with it (environment, ~/.aws/credentials)",
            )


def _refuse_unusable_roots(session: boto3.session.Session) -> None:
    """The CA file, wherever it is configured. Looked at here: the SDK calls it a connection that failed."""
    configured = session._session.get_config_variable("ca_bundle")  # boto3 has no public way to ask
    roots = configured or os.environ.get("REQUESTS_CA_BUNDLE")
    if not roots or not isinstance(roots, str):
        return
    refuse_unusable_roots(roots, named_by="$AWS_CA_BUNDLE, $REQUESTS_CA_BUNDLE or ca_bundle in ~/.aws/config")
