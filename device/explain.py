"""The steps of a bootstrap, as commands to paste into a shell."""

import shlex

from .configuration import PATH as CONFIGURATION_PATH
from .configuration import Configuration
from .est import PATH as EST_PATH
from .iot_https import publish_url
from .kept import find_certificate, find_configuration
from .keys import open_key
from .keys.command_line import CommandLineKey
from .settings import Settings
from .shared_port import HTTPS, SHARED_PORT
from .store import StateFolder
from .tls import roots


def explain(settings: Settings) -> str:
    """A shell script with comments. It costs no signature, and shows no token and no PIN."""
    key = open_key(settings).by_hand()
    url = settings.url or "https://ENROLLMENT-URL"
    state = StateFolder(settings.state)
    configuration = find_configuration(state)
    if configuration is not None:
        configuration = configuration.as_set(settings)
    parts = [
        _environment(key),
        _request(settings.name, key),
        _enroll(settings, url),
        _configuration(settings, url),
        _publish(settings, state, key, configuration),
    ]
    return "\n".join(parts)


def _environment(key: CommandLineKey) -> str:
    lines = ["# For sh or bash. The commands write their files into the current folder."]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in key.environment.items()]
    return "\n".join(lines) + "\n"


def _request(name: str, key: CommandLineKey) -> str:
    request = ["openssl", "req", "-new", "-sha256", *key.openssl(), "-subj", f"/CN={name}", "-outform", "DER"]
    return (
        "# 1. Make a certificate signing request, signed by the key. EST wants it in base64 (RFC 8951).\n"
        f"{shlex.join(request)} | openssl base64 -A > request.p10\n"
    )


def _enroll(settings: Settings, url: str) -> str:
    request = ["curl", "--fail-with-body", *_trust(settings), "--header", "Content-Type: application/pkcs10"]
    request += ["--data-binary", "@request.p10", f"{url}{EST_PATH}/simpleenroll"]
    return (
        "# 2. Enroll. If you have a token, add to curl:  --user "
        + settings.name
        + "  and paste the token when curl asks.\n"
        "#    202 means that the operator has not approved this device yet: run the same command again later.\n"
        f"{shlex.join(request)} > certificate.p7\n"
        "openssl base64 -d -A -in certificate.p7 | openssl pkcs7 -inform DER -print_certs | openssl x509"
        " > certificate.pem\n"
    )


def _configuration(settings: Settings, url: str) -> str:
    request = ["curl", "--fail-with-body", *_trust(settings), url + CONFIGURATION_PATH]
    return f"# 3. Fetch the configuration: the data endpoint, and the topics that are allowed.\n{shlex.join(request)}\n"


def _publish(settings: Settings, state: StateFolder, key: CommandLineKey, configuration: Configuration | None) -> str:
    endpoint, port, topic = "DATA-ENDPOINT", 8443, f"devices/{settings.name}/hello"
    if configuration is not None:
        endpoint, port = configuration.data_endpoint, configuration.https_port
        topic = configuration.test_topic(_topic_name(settings, state)) or topic
    request = ["curl", "--tlsv1.2", *_trust(settings), "--cert", "certificate.pem", *key.curl()]
    request += ["--data", '{"hello": "world"}', publish_url(endpoint, port, topic)]
    if port == SHARED_PORT:
        return (
            f"# 4. Publish over mutual TLS with the key. curl cannot: port {SHARED_PORT} of AWS IoT asks for the ALPN\n"
            f"#    protocol {HTTPS}, which curl does not offer. This does: zymkey-iot publish\n"
        )
    return f'# 4. Publish over mutual TLS with the key. AWS IoT answers {{"message":"OK"}}.\n{shlex.join(request)}\n'


def _topic_name(settings: Settings, state: StateFolder) -> str:
    certificate = find_certificate(state)
    return settings.name if certificate is None else certificate.topic_name(settings.name)


def _trust(settings: Settings) -> list[str]:
    return ["--cacert", str(roots(settings.ca_file))]
