"""Transport parameters taken apart and put together again, without asking whether they may."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.lab.hostile.frames import varint
from ropewalk.quic.wire.reader import Reader

#: The parameters in their order: identifier and value.
Parameters = list[tuple[int, bytes]]
#: Makes other parameters of those that a connection wants to send.
Bending = Callable[[Parameters], Parameters]


def split(encoded: bytes) -> Parameters:
    """The parameters of the extension's content."""
    reader = Reader(encoded)
    found: Parameters = []
    while reader.remaining() > 0:
        identifier = int(reader.varint())
        found.append((identifier, reader.take(reader.varint())))
    return found


def join(parameters: Parameters) -> bytes:
    """The extension's content."""
    return b"".join(
        varint(identifier) + varint(len(value)) + value for identifier, value in parameters
    )


def value_of(parameters: Parameters, identifier: int) -> bytes:
    """The value of a parameter; ``KeyError`` when it is not there."""
    return dict(parameters)[identifier]


def without(identifier: int) -> Bending:
    """Leave a parameter out."""
    return lambda parameters: [one for one in parameters if one[0] != identifier]


def replaced(identifier: int, value: bytes) -> Bending:
    """Send a parameter with this value, whether it was there before or not."""

    def bend(parameters: Parameters) -> Parameters:
        return [*without(identifier)(parameters), (identifier, value)]

    return bend


def integer(identifier: int, value: int) -> Bending:
    """Send an integer parameter with this value."""
    return replaced(identifier, varint(value))


def repeated(identifier: int) -> Bending:
    """Send a parameter twice, with the same value."""

    def bend(parameters: Parameters) -> Parameters:
        return [*parameters, (identifier, value_of(parameters, identifier))]

    return bend
