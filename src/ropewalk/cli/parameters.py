"""Types of command-line arguments."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import click

_UNITS: Final = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "t": 1000**4,
    "ki": 1024,
    "mi": 1024**2,
    "gi": 1024**3,
    "ti": 1024**4,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)
#: The largest value of a QUIC variable-length integer, and so of an offset in a stream.
_MAX_SIZE: Final = 2**62 - 1


class HostPort(NamedTuple):
    """A host's name or address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class SizeType(click.ParamType[int]):
    """A number of bytes: ``1500``, ``64K``, ``200M``, ``1.5G``, ``512KiB``."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a size; write for example 1500, 64K, 200M or 1GiB")
        number, unit = match.groups()
        size = (
            int(float(number) * _UNITS[(unit or "").lower()])
            if "." in number
            else (int(number) * _UNITS[(unit or "").lower()])
        )
        if size > _MAX_SIZE:
            self.fail(f"{value!r} is more than a QUIC stream can carry (2^62 - 1 bytes)")
        return size


class HostPortType(click.ParamType[HostPort]):
    """``HOST:PORT``; an IPv6 address stands in brackets, as in ``[::1]:4433``."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> HostPort:
        if isinstance(value, HostPort):
            return value
        host, colon, port = str(value).rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            self.fail(f"{value!r}: put an IPv6 address in brackets, for example [::1]:4433")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT; write for example localhost:4433")
        return HostPort(host, int(port))


SIZE: Final = SizeType()
HOST_PORT: Final = HostPortType()
#: Largest UDP payload that this side sends.
MTU: Final = click.IntRange(1200, 65527)
