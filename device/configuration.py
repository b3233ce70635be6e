"""What the cloud tells a device: where the data endpoint is, and which topics are allowed."""

import json
from dataclasses import dataclass, replace

from . import https
from .errors import Busy, UnexpectedReply
from .network import Network
from .settings import Settings

PATH = "/configuration"
EXTERNAL_ISSUER = "external"
"""The ``issuer`` of a fleet whose CA's key lives outside AWS."""


@dataclass(frozen=True)
class Configuration:
    """The document of GET /configuration. It holds no secret."""

    fleet: str
    issuer: str
    data_endpoint: str
    https_port: int
    mqtt_port: int
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @classmethod
    def from_json(cls, document: bytes) -> "Configuration":
        """Read the document.

        Raises:
            ValueError: a member is missing or of the wrong type.
        """
        try:
            data = json.loads(document)
            topics = data["topics"]
            return cls(
                fleet=_text(data["fleet"]),
                issuer=_text(data["issuer"]),
                data_endpoint=_text(data["dataEndpoint"]),
                https_port=int(data["httpsPort"]),
                mqtt_port=int(data["mqttPort"]),
                publish=tuple(_text(topic) for topic in topics["publish"]),
                subscribe=tuple(_text(topic) for topic in topics["subscribe"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"something that is no configuration: {error}") from None

    def as_set(self, settings: Settings) -> "Configuration":
        """The configuration with the endpoint and ports that the user has set instead of the cloud's."""
        return replace(
            self,
            data_endpoint=settings.endpoint or self.data_endpoint,
            https_port=settings.https_port or self.https_port,
            mqtt_port=settings.mqtt_port or self.mqtt_port,
        )

    def test_topic(self, device: str, *, last: str = "bootstrap") -> str | None:
        """A topic that the device may publish to: the first template with its wildcards filled in.

        ``devices/{device}/*`` gives ``devices/pi-7/bootstrap``. None when the fleet's devices may not publish.
        """
        if not self.publish:
            return None
        return self.publish[0].replace("{device}", device).replace("*", last).replace("?", "0")


def fetch(url: str, *, network: Network) -> tuple[Configuration, bytes]:
    """Ask for the configuration; return it, and the document as it was received.

    Raises:
        Busy: the cloud cannot answer now.
        UnexpectedReply: there is no configuration at this URL.
        NetworkError, ServerNotTrusted: as ``https.request`` raises them.
    """
    reply = https.request("GET", url + PATH, network=network, headers={"Accept": "application/json"})
    if reply.status == 429 or reply.status >= 500:
        raise Busy(f"the cloud cannot send the configuration now ({reply.status}).", retry_after=reply.retry_after)
    cure = "check the enrollment URL: it is the output EnrollmentUrl of the stack"
    if reply.status != 200:
        raise UnexpectedReply(f"there is no configuration at {url}{PATH} ({reply.status}).", cure=cure)
    try:
        return Configuration.from_json(reply.body), reply.body
    except ValueError as error:
        raise UnexpectedReply(f"{url}{PATH} sent {error}.", cure=cure) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is not text")
    return value
