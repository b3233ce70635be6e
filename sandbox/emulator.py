"""The AWS emulator (ministack): every AWS service that the app uses, in one process.

Started with IAM and IoT policies enforced and with TLS. All of its state is in memory: when it stops, everything that
was deployed is lost.
"""

import os
import shutil
import socket
import ssl
import sys
import time
import urllib.request
from importlib import metadata
from pathlib import Path

from . import emulated_ca_resource, emulated_pages, emulated_role_aliases, emulated_shadow_lists
from .addresses import ACCOUNT, DATA_ENDPOINT_HOST, REGION, REPOSITORY, ROOT_ACCESS_KEY, ROOT_SECRET_KEY, Addresses
from .background import BackgroundProcess, version_of
from .certificates import ServerCertificates
from .errors import SandboxError

READY_SECONDS = 30.0
POLL_SECONDS = 0.1
ANSWER_SECONDS = 5.0
FIRST_HANDSHAKE_SECONDS = 1.0

# This repository is no part of the emulator's path any more when it starts: functions have to bring their own code.
_START = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
from sandbox import emulated_ca_resource, emulated_pages, emulated_role_aliases, emulated_shadow_lists
sys.path.pop(0)
emulated_ca_resource.install()
emulated_role_aliases.install()
emulated_pages.install()
emulated_shadow_lists.install()
from ministack.app import main
main()
"""


def emulator_process(addresses: Addresses) -> BackgroundProcess:
    return BackgroundProcess(
        name="emulator",
        directory=addresses.directory,
        version=version_of(
            metadata.version("ministack"),
            emulator_environment(addresses),
            emulated_ca_resource.SOURCE,
            Path(emulated_role_aliases.__file__),
            Path(emulated_pages.__file__),
            Path(emulated_shadow_lists.__file__),
        ),
    )


def ensure_emulator(addresses: Addresses, certificates: ServerCertificates) -> bool:
    """Start the emulator and wait until it answers; say whether it had to be started.

    Raises:
        SandboxError: a port belongs to another program, or the emulator does not come up.
    """
    process = emulator_process(addresses)
    if process.is_current() and is_healthy(addresses, certificates):
        return False
    process.stop()
    require_free_ports(addresses.gateway_port, addresses.mqtt_port)
    try:
        _start(addresses, certificates, process)
    except SandboxError:
        # Root's emulator also takes port 443 of this address when the port is free. Of two that start at the same
        # moment both find it free, and the second one ends itself. Started again, it finds the port taken and goes
        # on without it.
        _start(addresses, certificates, process)
    return True


def _start(addresses: Addresses, certificates: ServerCertificates, process: BackgroundProcess) -> None:
    # The emulator leaves its code copies and a pid file in TMPDIR; each run begins with an empty one.
    temporary = _temporary(addresses)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    environment = {"PATH": os.environ.get("PATH", os.defpath), **emulator_environment(addresses)}
    process.start([sys.executable, "-c", _START, str(REPOSITORY)], environment, folder=temporary)
    _wait_until_healthy(addresses, certificates, process)


def emulator_environment(addresses: Addresses) -> dict[str, str]:
    """Functions inherit the emulator's environment, so it contains nothing of the caller's except PATH.

    In particular no CA variable: with one of them set, the emulator would not give functions its own.
    """
    certificates = ServerCertificates.in_directory(addresses.directory)
    return {
        "LANG": "C.UTF-8",
        "HOME": str(_temporary(addresses)),
        "TMPDIR": str(_temporary(addresses)),
        # Else /tmp/ministack-state, which the accounts of a machine would share.
        "STATE_DIR": str(addresses.directory / "emulator-state"),
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificates.chain),
        "MINISTACK_SSL_KEY": str(certificates.key),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(addresses.gateway_port),
        "IOT_MTLS_PORT": str(addresses.mqtt_port),
        "SFTP_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ROOT_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _temporary(addresses: Addresses) -> Path:
    return addresses.directory / "tmp"


def is_healthy(addresses: Addresses, certificates: ServerCertificates, *, timeout: float = ANSWER_SECONDS) -> bool:
    """Whether the gateway answers and the MQTT broker completes a TLS handshake, each within ``timeout`` seconds."""
    try:
        if b'"listening"' not in _get(addresses, certificates, "/_ministack/ready"):
            return False
        _complete_mqtt_handshake(addresses, mqtt_root_certificate(addresses, certificates), timeout)
    except OSError:
        return False
    return True


def mqtt_root_certificate(addresses: Addresses, certificates: ServerCertificates) -> bytes:
    """PEM of the root that the broker's server certificate chains to; new with every start."""
    return _get(addresses, certificates, "/_ministack/iot/ca.pem")


def require_free_ports(*ports: int) -> None:
    """Raise SandboxError when a program other than this sandbox has one of the ports."""
    for port in ports:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise SandboxError(
                    f"Port {port} is in use by a program that this sandbox did not start. End that program "
                    "(if it is another sandbox: `make sandbox-stop` in its folder), or choose other ports with "
                    "SANDBOX_GATEWAY_PORT, SANDBOX_HTTPS_PORT and SANDBOX_MQTT_PORT."
                )


def _wait_until_healthy(addresses: Addresses, certificates: ServerCertificates, process: BackgroundProcess) -> None:
    """Wait until the broker has completed one TLS handshake. Its port alone promises nothing.

    The emulator opens the port at once and prepares TLS for it when the first client connects. For as long as that
    takes it pauses the connection, and Python before 3.11.4 reads on all the same (Debian 12 has 3.11.2): the client's
    first message is lost, and the client waits until its time is up. So the sandbox itself is the first client, soon
    gives up, and tries again. https://github.com/python/cpython/issues/103607
    """
    deadline = time.monotonic() + READY_SECONDS
    while not is_healthy(addresses, certificates, timeout=FIRST_HANDSHAKE_SECONDS):
        if not process.is_running() or time.monotonic() > deadline:
            process.stop()
            raise SandboxError(f"The emulator did not start. The end of {process.log}:\n{process.last_lines()}")
        time.sleep(POLL_SECONDS)


def _complete_mqtt_handshake(addresses: Addresses, root: bytes, timeout: float) -> None:
    context = ssl.create_default_context(cadata=root.decode())
    with (
        socket.create_connection(("127.0.0.1", addresses.mqtt_port), timeout=timeout) as connection,
        context.wrap_socket(connection, server_hostname=DATA_ENDPOINT_HOST),
    ):
        pass


def _get(addresses: Addresses, certificates: ServerCertificates, path: str) -> bytes:
    context = ssl.create_default_context(cafile=str(certificates.root))
    with urllib.request.urlopen(addresses.gateway + path, timeout=ANSWER_SECONDS, context=context) as reply:  # noqa: S310
        content: bytes = reply.read()
        return content
