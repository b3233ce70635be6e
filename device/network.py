"""How this device reaches servers: the roots that it trusts, and the proxy on the way."""

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .proxy import Proxy

if TYPE_CHECKING:
    from .settings import Settings


@dataclass(frozen=True)
class Network:
    """``context`` verifies servers; ``no_proxy`` lists, as ``NO_PROXY`` does, the hosts to reach without ``proxy``."""

    context: ssl.SSLContext
    proxy: Proxy | None = None
    no_proxy: str = ""

    @classmethod
    def from_settings(cls, settings: "Settings", *, context: ssl.SSLContext | None = None) -> "Network":
        """The network as the settings have it.

        Args:
            context: in place of the one that trusts the settings' roots.

        Raises:
            UsageError: the file of roots cannot be used.
        """
        proxy = None if settings.proxy is None else Proxy.parse(settings.proxy)
        if context is None:
            # Imported here: doctor looks at the network even where a package that it needs is missing.
            from .tls import client_context

            context = client_context(settings.ca_file)
        return cls(context, proxy, settings.no_proxy or "")

    def proxy_for(self, host: str, port: int) -> Proxy | None:
        """The proxy on the way to a server; None when the way is direct."""
        if self.proxy is None:
            return None
        # Imported here: few devices have a proxy.
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

        bypassed = proxy_bypass_environment(f"{host}:{port}", {"no": self.no_proxy})
        return None if bypassed else self.proxy
