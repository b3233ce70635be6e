"""Starting the data endpoint as a process of its own, and asking whether it serves."""

import socket
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ..addresses import DATA_ENDPOINT_HOST, REPOSITORY, Addresses
from ..background import BackgroundProcess, version_of
from ..certificates import ServerCertificates
from ..emulator import require_free_ports
from ..errors import SandboxError

READY_SECONDS = 20.0
POLL_SECONDS = 0.1


def data_endpoint_process(addresses: Addresses) -> BackgroundProcess:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return BackgroundProcess(
        name="data-endpoint", directory=addresses.directory, version=version_of(addresses, *sources)
    )


def ensure_data_endpoint(
    addresses: Addresses, certificates: ServerCertificates, environment: Mapping[str, str]
) -> bool:
    """Start the endpoint and wait until it serves; say whether it had to be started.

    Args:
        environment: holds the AWS_* variables that lead to the emulator.

    Raises:
        SandboxError: the port belongs to another program, or the endpoint does not come up.
    """
    process = data_endpoint_process(addresses)
    if process.is_current() and is_serving(addresses, certificates):
        return False
    process.stop()
    require_free_ports(addresses.https_port)
    process.start([sys.executable, "-m", "sandbox.data_endpoint"], environment, folder=REPOSITORY)
    deadline = time.monotonic() + READY_SECONDS
    while not is_serving(addresses, certificates):
        if not process.is_running() or time.monotonic() > deadline:
            process.stop()
            raise SandboxError(f"The data endpoint did not start. The end of {process.log}:\n{process.last_lines()}")
        time.sleep(POLL_SECONDS)
    return True


def is_serving(addresses: Addresses, certificates: ServerCertificates) -> bool:
    """Whether the port shows the sandbox's server certificate.

    Under TLS 1.3 a client's handshake ends before the server misses the client's certificate.
    """
    context = ssl.create_default_context(cafile=str(certificates.root))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        with (
            socket.create_connection(("127.0.0.1", addresses.https_port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=DATA_ENDPOINT_HOST),
        ):
            return True
    except OSError:
        return False
