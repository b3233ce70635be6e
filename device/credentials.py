"""AWS credentials for the programs of this device, from AWS IoT's credential provider, with the key in the HSM.

They are what the fleet's setting ``credentials`` allows. Each request is one connection, so it costs one signature.
"""

import sys

from . import configuration as cloud
from . import https
from .configuration import CredentialSource
from .device import Device, open_device
from .enrollment_urls import EnrollmentUrls
from .errors import CredentialsDenied, HungUp, NetworkError, RoleAliasUnknown, SignerUnsupported, UsageError
from .iot_credentials import PORT, THING_HEADER, Credentials, credentials_url, read_reply
from .iot_https import refused
from .report import Report
from .settings import Settings
from .store import StateFolder
from .tls import present, roots

NEEDS = "the operator sets credentials in the fleet's cdk.json, and deploys; nothing has to be done here then"


def get_credentials(settings: Settings) -> Credentials:
    """Ask AWS IoT for credentials.

    Where the cloud's configuration is from before the fleet gave any, or names a role alias that is gone, it is asked
    for again. It is not kept: that is for a renewal, which tries it first.

    Raises:
        CredentialsDenied: the fleet gives this device none.
        CertificateUnusable, KeyUnavailable: as ``open_device`` raises them.
        DeviceError: as ``read_reply``, ``EnrollmentUrls.ask`` and ``https.request`` raise them.
    """
    device = open_device(settings)
    known = device.configuration.credentials
    if known is not None:
        try:
            return _ask(device, known)
        except RoleAliasUnknown:
            current = _current_source(device)
            if current in (None, known):
                raise
    else:
        current = _current_source(device)
    if current is None:
        raise CredentialsDenied("this fleet gives its devices no AWS credentials.", cure=NEEDS)
    return _ask(device, current)


def files(settings: Settings) -> list[str]:
    """Files whose change means that credentials which were given before may be another device's, or another fleet's."""
    state = StateFolder(settings.state)
    kept = (state.certificate_path, state.configuration_path, state.device_path, state.promotion_path)
    return [str(path.absolute()) for path in kept]


def _current_source(device: Device) -> CredentialSource | None:
    if device.settings.url is None:
        raise UsageError(
            "this device has no enrollment URL, and has to ask there who gives it AWS credentials.",
            cure="zymkey-iot bootstrap https://…",
        )
    report = Report(stream=sys.stderr)  # standard output is for the credentials alone
    urls = EnrollmentUrls(
        device.settings, StateFolder(device.settings.state), report, network=lambda: device.network, renewal=True
    )
    configuration, _ = urls.ask(lambda url: cloud.fetch(url, network=device.network))
    urls.check_answer(configuration)
    return configuration.credentials


def _ask(device: Device, source: CredentialSource) -> Credentials:
    set_by_user = device.settings.credential_endpoint
    host, port = (source.endpoint, PORT) if set_by_user is None else set_by_user
    url = credentials_url(host, port, source.role_alias)
    thing = device.settings.name
    reply = _reply(device, host, port, url, {THING_HEADER: thing})
    return read_reply(reply, thing=thing, role_alias=source.role_alias)


def _reply(device: Device, host: str, port: int, url: str, headers: dict[str, str]) -> https.Reply:
    way = device.settings.tls
    if way == "curl" or (way == "auto" and device.key.kind == "engine"):
        return _by_curl(device, host, port, url, headers)
    try:
        signer = present(device.network.context, device.certificate, device.key)
    except SignerUnsupported:
        if way == "signer":
            raise
        return _by_curl(device, host, port, url, headers)
    try:
        return https.request("GET", url, network=device.network, headers=headers, mutual=True)
    except NetworkError as error:
        if signer.failure is not None:
            raise signer.failure from None
        if isinstance(error, HungUp):
            raise refused(error, host, device.certificate) from None
        raise


def _by_curl(device: Device, host: str, port: int, url: str, headers: dict[str, str]) -> https.Reply:
    # Imported here: most devices never need it.
    from .curl_exchange import CurlExchange

    curl = CurlExchange(
        endpoint=host,
        port=port,
        certificate=device.certificate,
        key=device.key,
        roots=roots(device.settings.ca_file),
        network=device.network,
    )
    return curl.exchange(url, headers=headers)
