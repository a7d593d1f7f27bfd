"""URLs of the https scheme (RFC 9110 4.2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from ropewalk.quic.types.errors import ConfigurationError

_DEFAULT_PORT: Final = 443
#: RFC 3986 3.1. A "://" further on belongs to a query.
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
#: What quote() leaves alone: everything that has a meaning in a path or query, and "%".
_SAFE: Final = "!$%&'()*+,-./:;=?@_~"


@dataclass(frozen=True)
class Url:
    """Where a request goes: to ``host`` and ``port``, asking for ``target``."""

    host: str
    port: int
    #: path and query, percent-encoded
    target: str

    @property
    def origin(self) -> tuple[str, int]:
        """Requests with the same one can share a connection."""
        return self.host, self.port

    @property
    def where(self) -> str:
        """HOST:PORT, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_url(text: str) -> Url:
    """Take a URL apart. Raises ``ConfigurationError``, which says what is wrong with it.

    The scheme may be left out. Characters that a URL cannot hold are percent-encoded, names
    beyond ASCII become IDNA; a fragment is dropped.
    """
    given = text.strip()
    scheme = _SCHEME.match(given)
    if scheme is None:
        given = f"https://{given}"
    elif scheme[1].lower() != "https":
        raise _bad(text, f"the scheme {scheme[1]}:// is not spoken here; use https://")
    if any(character.isspace() or not character.isprintable() for character in given):
        raise _bad(text, "it has whitespace or control characters; encode them, a space as %20")
    try:
        parts = urlsplit(given)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _bad(text, f"{error}; write https://HOST:PORT/PATH") from None
    if not host:
        raise _bad(text, "it has no host; write https://HOST:PORT/PATH")
    if parts.username is not None or parts.password is not None:
        raise _bad(text, "it has a user name or password; leave them out")
    if port == 0:
        raise _bad(text, "port 0 does not exist; ports run from 1 to 65535")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise _bad(text, "its host is not a name; check its spelling") from None
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_SAFE)}"
    return Url(host, _DEFAULT_PORT if port is None else port, target)


def _bad(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{text!r} is not a URL that can be fetched: {why}")
