"""Network addresses as plain values."""

from __future__ import annotations

from typing import final


@final
class Address:
    """The far end of a route: an IP address as text, a UDP port and an IPv6 scope.

    Immutable by convention and hashable, so that it can key a table. ``ip`` is in the
    canonical text form that the operating system returns.
    """

    __slots__ = ("_hash", "ip", "port", "scope")

    def __init__(self, ip: str, port: int, scope: int = 0) -> None:
        self.ip = ip
        self.port = port
        self.scope = scope
        self._hash = hash((ip, port, scope))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Address):
            return NotImplemented
        return self.port == other.port and self.ip == other.ip and self.scope == other.scope

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.ip!r}, {self.port})"
