"""Where doctor connects to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Server:
    """A host name or address, and a TCP port. ``protocol`` is what ALPN has to offer there, if not HTTP/1.1."""

    host: str
    port: int
    protocol: str | None = None
