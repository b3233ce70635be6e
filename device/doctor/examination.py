"""What one run of doctor has found so far. Several checks look at one attempt, which is made once."""

import argparse
import datetime
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from ..errors import DeviceError
from ..settings import Settings
from ..shared_port import HTTPS, DataPort, protocol_on
from ..store import StateFolder
from .finding import Result, Skipped, Status
from .server import Server

if TYPE_CHECKING:
    from ..certificate import DeviceCertificate
    from ..configuration import Configuration
    from ..device import Device
    from ..keys import DeviceKey
    from ..network import Network
    from .tls_probe import Probe

T = TypeVar("T")


class Examination:
    """Each attempt is made when its result is first asked for. The check ``settings`` sets ``settings``.

    The imports are in the methods, because a missing package is a finding too.
    """

    settings: Settings

    def __init__(self, arguments: argparse.Namespace, *, timeout: float) -> None:
        self.arguments = arguments
        self.timeout = timeout
        self.results: dict[str, Result] = {}
        self.clock_offset: datetime.timedelta | None = None
        """How far the server's clock is ahead of this machine's; None while that is not known."""

        self.signer_supported = True
        """Whether TLS in this process can ask the key for signatures."""

        self._probes: dict[Server, Probe | DeviceError] = {}

    def passed(self, check: str) -> bool:
        """Whether a check has run and did not fail."""
        return check in self.results and self.results[check].status in (Status.OK, Status.WARNING)

    def time(self) -> datetime.datetime:
        """The time by the server's clock, or by this machine's while the server's is not known."""
        return datetime.datetime.now(datetime.UTC) + (self.clock_offset or datetime.timedelta())

    @cached_property
    def state(self) -> StateFolder:
        return StateFolder(self.settings.state)

    @property
    def by_curl(self) -> bool:
        """Whether this device publishes with curl and an engine, instead of TLS in this process."""
        engine_key = self.settings.key.startswith("engine:") and self.settings.tls == "auto"
        return self.settings.tls == "curl" or engine_key or not self.signer_supported

    @cached_property
    def key(self) -> "DeviceKey | DeviceError":
        from ..keys import open_key

        return attempt(lambda: open_key(self.settings))

    def the_key(self) -> "DeviceKey":
        """For checks that need the check ``slot``: it has failed if there is no key."""
        return _known(self.key)

    @cached_property
    def certificate(self) -> "DeviceCertificate | DeviceError":
        from ..kept import read_certificate

        return attempt(lambda: read_certificate(self.state))

    def the_certificate(self) -> "DeviceCertificate":
        """For checks that need the check ``certificate``."""
        return _known(self.certificate)

    @cached_property
    def network(self) -> "Network":
        """How this device reaches servers. It shows no certificate.

        Raises:
            UsageError: the file of roots cannot be used.
        """
        from ..network import Network

        return Network.from_settings(self.settings)

    @cached_property
    def route(self) -> "Network":
        """The same without roots, for connections that are closed before TLS begins."""
        import ssl

        from ..client_context import ClientContext
        from ..network import Network

        return Network.from_settings(self.settings, context=ClientContext(ssl.PROTOCOL_TLS_CLIENT))

    @property
    def url(self) -> str:
        if self.settings.url is None:
            raise Skipped("there is no enrollment URL.", needs="settings")
        return self.settings.url

    @property
    def enrollment_server(self) -> Server:
        parts = urlsplit(self.url)
        return Server(parts.hostname or "", parts.port or 443)

    @cached_property
    def fetched(self) -> "tuple[Configuration, bytes] | DeviceError":
        """The answer to GET /configuration, or why there was none."""
        from .. import configuration as cloud

        return attempt(lambda: cloud.fetch(self.url, network=self.network))

    @cached_property
    def kept_configuration(self) -> "Configuration | None":
        """The configuration in the state folder."""
        from ..kept import find_configuration

        return find_configuration(self.state)

    @cached_property
    def configuration(self) -> "Configuration":
        """The kept configuration, or else the cloud's.

        Raises:
            Skipped: there is neither.
        """
        configuration = self.kept_configuration
        if configuration is None:
            if not self.passed("enrollment"):
                raise Skipped(
                    "the data endpoint is not known yet, because the enrollment service did not answer.",
                    needs="enrollment",
                )
            configuration, _ = _known(self.fetched)
        return configuration.as_set(self.settings)

    @property
    def data_endpoint(self) -> Server:
        return Server(
            self.configuration.data_endpoint, self.https_port.number, protocol_on(self.https_port.number, HTTPS)
        )

    @cached_property
    def https_port(self) -> DataPort:
        """The port that the check ``endpoint-https-port`` has found open."""
        fixed = self.settings.https_port is not None or self.by_curl
        return DataPort(self.configuration.https_port, HTTPS, fixed=fixed)

    def probe(self, server: Server) -> "Probe | DeviceError":
        """What the server says of itself, unverified."""
        from .tls_probe import probe

        if server not in self._probes:
            self._probes[server] = attempt(lambda: probe(server, settings=self.settings, timeout=self.timeout))
        return self._probes[server]

    def device(self) -> "Device":
        from ..device import Device
        from ..network import Network

        network = Network.from_settings(self.settings)
        return Device(self.settings, self.configuration, self.the_certificate(), self.the_key(), network)

    @cached_property
    def publish(self) -> "str | DeviceError":
        """The topic of a message that AWS IoT accepted, or why it did not."""
        from ..steps import test_message

        def publish() -> str:
            device = self.device()
            topic = self.own_topic(device.topic("{device}"))
            device.https().publish(topic, test_message(self.settings.name, "doctor"))
            return topic

        return attempt(publish)

    def own_topic(self, device: str) -> str:
        """A topic to try. If the fleet allows no publish topics, a topic that AWS IoT is expected to deny."""
        return self.configuration.test_topic(device) or f"devices/{device}/doctor"


def attempt(action: Callable[[], T]) -> T | DeviceError:
    """What ``action`` returns, or the error that it raises, for more than one check to look at."""
    try:
        return action()
    except DeviceError as error:
        return error


def _known(outcome: T | DeviceError) -> T:
    if isinstance(outcome, DeviceError):
        raise outcome
    return outcome
