"""TCP to the first address of a host that answers."""

import socket
import time


def connect(host: str, port: int, *, timeout: float) -> socket.socket:
    """Try the addresses of ``host`` in the system's order; each gets its share of the time that is left.

    A route that drops packets, as a broken IPv6 does, so leaves time for the next address, and all of them together
    take no longer than ``timeout`` (seconds; the lookup of the name comes before).

    Raises:
        OSError: no address answered. The error is the one that tells most: refused, silent, or without a route.
    """
    addresses = resolve(host, port)
    deadline = time.monotonic() + timeout
    failures = []
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        share = max(deadline - time.monotonic(), 0.0) / (len(addresses) - position)
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # a kernel without IPv6
            failures.append(error)
            continue
        try:
            # At least a moment: a timeout of zero would mean not to wait at all.
            connection.settimeout(max(share, 0.05))
            connection.connect(address)
            connection.settimeout(timeout)
            return connection
        except OSError as error:
            connection.close()
            failures.append(error)
    raise max(failures, key=_tells)


def resolve(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    """What ``socket.getaddrinfo`` returns for TCP.

    Raises:
        socket.gaierror: the name does not resolve, or is none.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]
    except UnicodeError:
        # What Python's IDNA codec says of an empty label and of one that is longer than 63 characters.
        raise socket.gaierror(socket.EAI_NONAME, "it is not a host name") from None


def _tells(error: OSError) -> int:
    return 2 if isinstance(error, ConnectionRefusedError) else 1 if isinstance(error, TimeoutError) else 0
