"""A proxy on the way to the servers, as ``HTTPS_PROXY`` and ``--proxy`` name it."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from .host_name import is_host

LOOKS_LIKE = "a proxy looks like http://proxy.example:3128, or http://user:password@proxy.example:3128"
DEFAULT_PORTS = {"http": 3128, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
"""By scheme. ``http`` is the usual proxy, which opens a tunnel by CONNECT; ``https`` is the same one over TLS."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SERVER = re.compile(r"(\[(?P<address>[^\]]*:[^\]]*)\]|(?P<name>[^:/\[\]]*))(:(?P<port>[^/]*))?/?")


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """``scheme`` is a key of ``DEFAULT_PORTS``; ``host`` has no brackets. User and password are decoded."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Read a proxy's URL.

        User and password end at the last ``@``, so they may hold any character; percent signs are decoded once.

        Raises:
            ValueError: it is none. The sentence does not show the text, which may hold a password.
        """
        found = _SCHEME.fullmatch(text.strip())
        scheme, rest = (found[1].lower(), found[2]) if found else ("http", text.strip())
        if scheme not in DEFAULT_PORTS:
            raise ValueError("the scheme of a proxy is one of " + ", ".join(DEFAULT_PORTS))
        credentials, at, server = rest.rpartition("@")
        match = _SERVER.fullmatch(server)
        host = (match["address"] or match["name"] or "") if match else ""
        if match is None or not is_host(host):
            raise ValueError(LOOKS_LIKE)
        user, colon, password = credentials.partition(":")
        return cls(
            scheme=scheme,
            host=host,
            port=_port(match["port"]) if match["port"] else DEFAULT_PORTS[scheme],
            user=unquote(user) if at else None,
            password=unquote(password) if colon else None,
        )

    @property
    def url(self) -> str:
        """The proxy with its password, as every library reads it."""
        return self._url("" if self.user is None else quote(self.user, safe="") + self._quoted_password() + "@")

    def __str__(self) -> str:
        """The proxy without its password, to print."""
        return self._url("" if self.user is None else f"{quote(self.user, safe='')}@")

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def peer(self) -> str:
        """What TCP connects to, in a sentence."""
        return f"the proxy {self.host} port {self.port}"

    def _quoted_password(self) -> str:
        return "" if self.password is None else ":" + quote(self.password, safe="")

    def _url(self, credentials: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{credentials}{host}:{self.port}"


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"the port of a proxy is a number from 1 to 65535; {LOOKS_LIKE}")
    return int(text)
