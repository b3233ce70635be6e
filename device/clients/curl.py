"""The curl command with an OpenSSL engine: the vendor's documented way."""

import shlex

from ..curl_engines import engine_fault, installed_version
from ..errors import UsageError
from ..iot_https import publish_url
from ..keys.command_line import PKCS11_ENGINE
from ..shared_port import HTTPS, SHARED_PORT
from .setup import Setup


def render(setup: Setup) -> str:
    """A shell command.

    Raises:
        UsageError: this machine's version of curl cannot use engines; or the port asks for an ALPN that curl has not.
    """
    if setup.https_port == SHARED_PORT:
        raise UsageError(
            f"curl cannot offer the ALPN protocol {HTTPS}, which AWS IoT asks for on port {SHARED_PORT}.",
            cure="use Python, zymkey-iot config requests; or port 8443: --https-port 8443",
        )
    if setup.by_hand.engine:
        _refuse_a_broken_curl()
    command = ["curl", "--fail-with-body", "--tlsv1.2", "--cacert", str(setup.roots)]
    command += ["--cert", str(setup.certificate), *setup.by_hand.curl(), "--data", '{"hello": "world"}']
    command += [publish_url(setup.endpoint, setup.https_port, setup.https_topic)]
    pin = " The engine asks for the PIN." if setup.by_hand.engine == PKCS11_ENGINE else ""
    return (
        f"# For sh or bash. Run it as a user who may read {setup.settings.state.absolute()} and use the key.{pin}\n"
        '# AWS IoT answers {"message":"OK"}.\n'
        f"{setup.environment()}{shlex.join(command)}\n"
    )


def _refuse_a_broken_curl() -> None:
    version = installed_version()
    if version is not None and (fault := engine_fault(version)):
        raise UsageError(
            f"curl {version} on this machine {fault.what}.",
            cure=f"{fault.cure}; or publish without curl: zymkey-iot publish, zymkey-iot config requests",
        )
