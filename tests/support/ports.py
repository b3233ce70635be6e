"""Ports of loopback that nothing listens on, for servers of a test's own."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Different ports; another program may take one before it is used."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
