"""How this device reaches servers: the roots that it trusts, and the proxy on the way."""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .client_context import ClientContext

if TYPE_CHECKING:
    from .proxy import Proxy
    from .settings import Settings


@dataclass(frozen=True)
class Network:
    """``context`` verifies servers; ``no_proxy`` lists, as ``NO_PROXY`` does, the hosts to reach without ``proxy``."""

    context: ClientContext
    proxy: "Proxy | None" = None
    no_proxy: str = ""

    @classmethod
    def from_settings(cls, settings: "Settings", *, context: ClientContext | None = None) -> "Network":
        """The network as the settings have it.

        Args:
            context: in place of the one that trusts the settings' roots.

        Raises:
            UsageError: the file of roots cannot be used.
        """
        proxy = None
        if settings.proxy is not None:
            from .proxy import Proxy

            proxy = Proxy.parse(settings.proxy)
        if context is None:
            # Imported here: doctor looks at the network even where a package that it needs is missing.
            from .tls import client_context

            context = client_context(settings.ca_file)
        return cls(context, proxy, settings.no_proxy or "")

    def without_certificate(self) -> "Network":
        """The same way to servers, on which none can ask for this device's certificate and a signature."""
        if not self.context.shows_certificate:
            return self
        return replace(self, context=self.context.without_identity())

    def proxy_for(self, host: str, port: int) -> "Proxy | None":
        """The proxy on the way to a server; None when the way is direct."""
        if self.proxy is None:
            return None
        # Imported here: few devices have a proxy.
        from requests.utils import should_bypass_proxies

        no_proxy = "*" if "*" in re.split(r"[\s,]+", self.no_proxy) else self.no_proxy
        url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        return None if should_bypass_proxies(url, no_proxy) else self.proxy
