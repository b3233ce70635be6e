"""Where doctor connects to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Server:
    """A host name or address, and a TCP port."""

    host: str
    port: int
