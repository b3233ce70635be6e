"""Port 443 of AWS IoT, which networks leave open that close 8443 and 8883.

It is shared by several protocols, and a client says by ALPN (RFC 7301) which of them it speaks with a certificate:
https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
"""

from collections.abc import Callable
from typing import TypeVar

from .errors import DeviceError, NetworkError, NoAnswer, NoRoute, PortClosed, ProxyFailed

SHARED_PORT = 443
HTTPS = "x-amzn-http-ca"
MQTT = "x-amzn-mqtt-ca"

Result = TypeVar("Result")


def protocol_on(port: int, protocol: str) -> str | None:
    """The ALPN protocol, where ``port`` asks for it; None where the port alone says what is spoken."""
    return protocol if port == SHARED_PORT else None


def is_closed(failure: DeviceError) -> bool:
    """Whether a network or its proxy may keep this port closed, and leave another one open."""
    silent = isinstance(failure, NoAnswer) and not failure.connected
    return silent or isinstance(failure, PortClosed | NoRoute | ProxyFailed)


class DataPort:
    """The port of a data endpoint; once that is found closed, port 443 in its place.

    Args:
        fixed: the user has chosen this port, so no other is tried.
        tell: is called with a sentence when 443 takes the port's place.
    """

    def __init__(self, port: int, protocol: str, *, fixed: bool, tell: Callable[[str], None] | None = None) -> None:
        self.number = port
        self.moved = False
        self._protocol, self._fixed, self.tell = protocol, fixed, tell

    def reach(self, attempt: Callable[[int, str | None], Result]) -> Result:
        """What ``attempt(port, protocol)`` returns; ``protocol`` is for ALPN.

        Raises:
            DeviceError: of the attempt. When neither port can be reached, the first one's.
        """
        try:
            return attempt(self.number, protocol_on(self.number, self._protocol))
        except NetworkError as closed:
            if self._fixed or self.number == SHARED_PORT or not is_closed(closed):
                raise
            try:
                result = attempt(SHARED_PORT, self._protocol)
            except DeviceError as failure:
                if is_closed(failure):
                    cause = f"{closed.cause} Port {SHARED_PORT} cannot be reached either."
                    raise type(closed)(cause, cure=closed.cure) from None
                self._move(closed)
                raise
            self._move(closed)
            return result

    def _move(self, closed: NetworkError) -> None:
        self.number, self.moved = SHARED_PORT, True
        if self.tell is not None:
            self.tell(f"{closed.cause} Port {SHARED_PORT} is used instead (ALPN {self._protocol}).")
