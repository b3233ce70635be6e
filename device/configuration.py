"""What the cloud tells a device about itself: where the data endpoint is, and which topics are allowed."""

import json
import ssl
from dataclasses import dataclass, replace

from . import https
from .errors import Busy, UnexpectedReply
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
        """Raises ValueError when a member is missing or of the wrong type."""
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
            raise ValueError(f"no configuration: {error}") from None

    def as_set(self, settings: Settings) -> "Configuration":
        """The same with the endpoint and ports that the user set instead."""
        return replace(
            self,
            data_endpoint=settings.endpoint or self.data_endpoint,
            https_port=settings.https_port or self.https_port,
            mqtt_port=settings.mqtt_port or self.mqtt_port,
        )

    def test_topic(self, device: str, *, last: str = "bootstrap") -> str | None:
        """A topic that the device may publish to: the first template, its wildcards filled in.

        `devices/{device}/*` gives `devices/pi-7/bootstrap`. None when the fleet's devices may not publish.
        """
        if not self.publish:
            return None
        return self.publish[0].replace("{device}", device).replace("*", last).replace("?", "0")


def fetch(url: str, *, context: ssl.SSLContext) -> tuple[Configuration, bytes]:
    """The configuration and the document as it came. Raises Busy, UnexpectedReply, and as `https.request`."""
    reply = https.request("GET", url + PATH, context=context, headers={"Accept": "application/json"})
    if reply.status == 429 or reply.status >= 500:
        raise Busy(f"the configuration cannot be had now ({reply.status}).", retry_after=reply.retry_after)
    cure = "check that the URL is the fleet's enrollment URL: the output EnrollmentUrl of the stack"
    if reply.status != 200:
        raise UnexpectedReply(f"there is no configuration at {url}{PATH} ({reply.status}).", cure=cure)
    try:
        return Configuration.from_json(reply.body), reply.body
    except ValueError as error:
        raise UnexpectedReply(f"{url}{PATH} answers with {error}.", cure=cure) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is not text")
    return value
