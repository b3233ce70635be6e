"""A domain for the sandbox's enrollment API: DNS and a network that lead its name to the emulator.

The emulator serves API Gateway's custom domains by their names; nothing here resolves one. So a device reaches it
through a proxy that knows the way. The name is one of those that the sandbox's server certificate has.
"""

import socket

from sandbox.addresses import ACCOUNT, REGION, Addresses
from tests.support.device.loopback_server import LoopbackServer, read_head
from tests.support.device.scripted_server import relay

NAME = "enroll.execute-api.localhost"
URL = f"https://{NAME}"
SETTING = {
    "name": NAME,
    "certificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0f2b9c1e-0000-4000-8000-000000000000",
}


class WayToDomain(LoopbackServer):
    """An HTTP proxy. `asked` counts the connections to the domain; further ones go to this machine's own ports."""

    def __init__(self, addresses: Addresses) -> None:
        super().__init__()
        self.asked = 0
        self._gateway = addresses.gateway_port

    @property
    def environment(self) -> dict[str, str]:
        """For a device. Not NO_PROXY=localhost: that would take the domain with it."""
        return {"HTTPS_PROXY": f"http://127.0.0.1:{self.port}", "NO_PROXY": "127.0.0.1"}

    def serve(self, connection: socket.socket) -> None:
        host, _, port = read_head(connection).split()[1].decode().rpartition(":")
        self.asked += host == NAME
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        relay(connection, self._gateway if host == NAME else int(port))
