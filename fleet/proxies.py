"""The proxies of the environment, which the AWS SDK and the HTTP library both read."""

from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from fleet.errors import SdkFailed


def refuse_unusable_proxies() -> None:
    """Look at them before a connection does: its libraries quote the password of one that they cannot read.

    A proxy without a scheme is one of HTTP.

    Raises:
        SdkFailed: a proxy is no URL.
    """
    for scheme, proxy in getproxies_environment().items():
        if scheme in ("http", "https", "all") and proxy and not _is_usable(proxy):
            raise SdkFailed(
                f"The proxy in ${scheme.upper()}_PROXY is no URL of the form http://USER:PASSWORD@HOST:PORT.",
                cure="correct the variable; characters such as # / [ @ of a password are written as %23 %2F %5B %40",
            )


def _is_usable(proxy: str) -> bool:
    try:
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return bool(url.hostname) and url.port != 0 and not (url.path.strip("/") or url.query or url.fragment)
    except ValueError:
        return False
