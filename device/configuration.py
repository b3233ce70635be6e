"""What the cloud tells a device: where the data endpoint is, and which topics are allowed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from . import https
from .addresses import enrollment_url
from .cures import LATER
from .errors import Busy, UnexpectedReply
from .host_name import is_host
from .network import Network
from .settings import Settings

PATH = "/configuration"
EXTERNAL_ISSUER = "external"
"""The ``issuer`` of a fleet whose CA's key lives outside AWS."""
_LONGEST = 256
"""AWS IoT's quota for a topic, in bytes; a fleet's name is shorter."""
_LONGEST_URL = 512
_LONGEST_PLACE = 64
"""What takes a placeholder's place: a certificate's id, or a device's name."""
_CHECK_URL = "check the enrollment URL: it is the output EnrollmentUrl of the stack"
_ROLE_ALIAS = re.compile(r"[A-Za-z0-9_=,@-]{1,128}")  # CreateRoleAlias: roleAlias


@dataclass(frozen=True)
class CredentialSource:
    """Who gives the device AWS credentials: AWS IoT's credential provider, and the role alias to ask it for."""

    endpoint: str
    role_alias: str


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
    enrollment_url: str | None = None
    """The URL to use from now on; None when the cloud announces none, or one that is not allowed."""

    announcement_refused: str | None = None
    """What is wrong with the URL that the cloud announces. The rest of the document counts all the same: a device
    needs its topics, and has a URL that works."""

    confirm_topic: str | None = None
    """To which the device says that a new certificate works: its id takes the place of ``{certificate}``."""

    renewal_topic: str | None = None
    """On which a program of the device may hear that it shall renew, with ``{device}``."""

    credentials: CredentialSource | None = None
    """None when the fleet gives its devices no AWS credentials, and in the documents of the first release."""

    @property
    def credential_endpoint(self) -> str | None:
        return None if self.credentials is None else self.credentials.endpoint

    @classmethod
    def from_json(cls, document: bytes) -> "Configuration":
        """Read the document. Whoever sent it is not trusted with more than what it says: nothing in it can do harm.

        Raises:
            ValueError: it is not JSON, a member is missing, or a member is not what it has to be.
        """
        try:
            data = json.loads(document)
        except (ValueError, RecursionError):
            raise ValueError("something that is not JSON") from None
        try:
            fleet = _text(data, "fleet")
            url, refused = _announced(data)
            return cls(
                fleet=fleet,
                issuer=_text(data, "issuer"),
                data_endpoint=_host(data, "dataEndpoint"),
                https_port=_port(data, "httpsPort"),
                mqtt_port=_port(data, "mqttPort"),
                publish=_topics(data["topics"], "publish"),
                subscribe=_topics(data["topics"], "subscribe"),
                enrollment_url=url,
                announcement_refused=refused,
                confirm_topic=_lifecycle_topic(data, "confirm", "{certificate}"),
                renewal_topic=_lifecycle_topic(data, "renew", "{device}"),
                credentials=_credentials(data),
            )
        except KeyError as missing:
            raise ValueError(f"something that is no configuration: {missing} is missing") from None
        except TypeError:
            raise ValueError("something that is no configuration: an object is missing") from None

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
        raise Busy(
            f"the cloud cannot send the configuration now ({reply.status}).", cure=LATER, retry_after=reply.retry_after
        )
    if reply.status != 200:
        raise UnexpectedReply(f"there is no configuration at {url}{PATH} ({reply.status}).", cure=_CHECK_URL)
    return read(reply.body, source=url + PATH), reply.body


def read(document: bytes, *, source: str) -> Configuration:
    """The configuration that a server has sent; ``source`` is its URL, for the error.

    Raises:
        UnexpectedReply: it is none.
    """
    try:
        return Configuration.from_json(document)
    except ValueError as error:
        raise UnexpectedReply(f"{source} sent {error}.", cure=_CHECK_URL) from None


def _announced(members: Mapping[str, object]) -> tuple[str | None, str | None]:
    """The optional ``enrollmentUrl``, spelled in one way; or what is wrong with it."""
    value = members.get("enrollmentUrl")
    if value is None:
        return None, None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_URL or not value.isprintable():
        return None, f"a URL is a text of 1 to {_LONGEST_URL} characters that can be printed"
    try:
        return enrollment_url(value), None
    except ValueError as wrong:
        return None, str(wrong)


def _lifecycle_topic(members: Mapping[str, object], name: str, placeholder: str) -> str | None:
    """A topic of the optional ``lifecycle``. A device does without it as well, so one that is none counts as absent."""
    topics = members.get("lifecycle")
    topic = topics.get(name) if isinstance(topics, dict) else None
    if not _is_topic(topic) or topic.count(placeholder) != 1 or {"*", "?", "$"}.intersection(topic):
        return None
    return topic if len(topic) + _LONGEST_PLACE <= _LONGEST else None


def _credentials(members: Mapping[str, object]) -> CredentialSource | None:
    source = members.get("credentials")
    if source is None:
        return None
    if not isinstance(source, dict):
        raise _wrong("credentials", "an object")
    alias = source["roleAlias"]
    if not isinstance(alias, str) or not _ROLE_ALIAS.fullmatch(alias):
        raise _wrong("credentials.roleAlias", "the name of a role alias")
    return CredentialSource(endpoint=_host(source, "endpoint"), role_alias=alias)


def _text(members: Mapping[str, object], name: str) -> str:
    value = members[name]
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise _wrong(name, f"a text of 1 to {_LONGEST} characters that can be printed")
    return value


def _host(members: Mapping[str, object], name: str) -> str:
    """A host name. A port after it is left out: ``httpsPort`` and ``mqttPort`` say which ports there are."""
    value = members[name]
    if isinstance(value, str):
        for host in (value, re.sub(r":[0-9]{1,5}\Z", "", value)):
            if is_host(host):
                return host
    raise _wrong(name, "a host name")


def _port(members: Mapping[str, object], name: str) -> int:
    value = members[name]
    if type(value) is not int or not 1 <= value <= 65535:
        raise _wrong(name, "a number from 1 to 65535")
    return value


def _topics(members: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Templates: ``*`` and ``?`` are wildcards as in a policy, while MQTT's would be part of the topic's name."""
    values = members[name]
    if not isinstance(values, list) or not all(map(_is_topic, values)):
        raise _wrong(f"topics.{name}", f"a list of topics of 1 to {_LONGEST} characters, without + and #")
    return tuple(values)


def _is_topic(value: object) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST
        and value.isprintable()
        and not {"+", "#"}.intersection(value)
    )


def _wrong(name: str, expected: str) -> ValueError:
    return ValueError(f"something that is no configuration: {name} is not {expected}")
