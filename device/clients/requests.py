"""Python with requests, or another library on urllib3. The key signs each handshake in this process."""

from ..iot_https import publish_url
from ..shared_port import HTTPS, protocol_on
from .setup import PACKAGE, Setup


def render(setup: Setup) -> str:
    url = publish_url(setup.endpoint, setup.https_port, setup.https_topic)
    protocol = protocol_on(setup.https_port, HTTPS)
    alpn = f"device.context.keep_offering({protocol!r})  # by ALPN, on port 443\n" if protocol else ""
    return f'''\
{setup.how_to_run()}
# Needs requests: pip install requests
import requests
from requests.adapters import HTTPAdapter

from {PACKAGE}.identity import this_device


class MutualTls(HTTPAdapter):
    """Shows the device's certificate to the servers for which it is mounted."""

    def __init__(self, context):
        self.context = context
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, ssl_context=self.context, **options)

    def cert_verify(self, *_):
        """Nothing: the context verifies. requests would add roots of its own to it."""


device = {setup.call_of_this_device()}
{alpn}session = requests.Session()  # keep it open: each new connection costs the key a signature
session.auth = lambda request: request  # the key says who this is, and not a password in ~/.netrc
session.mount(f"https://{{device.endpoint}}", MutualTls(device.context))
reply = session.post({url!r}, json={{"hello": "world"}}, timeout=20)
reply.raise_for_status()
print(reply.json())
'''
