"""What a connection tells its owner. Events are pulled with ``connection.events()``."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConnectionLost


@dataclass(frozen=True)
class Event:
    """Root of all events."""


@dataclass(frozen=True)
class HandshakeComplete(Event):
    """Keys are agreed and the peer is who it says it is (RFC 9001 4.1.1)."""

    alpn: str | None
    early_data_accepted: bool


@dataclass(frozen=True)
class HandshakeConfirmed(Event):
    """Both sides know that the handshake is complete (RFC 9001 4.1.2)."""


@dataclass(frozen=True)
class TicketReceived(Event):
    """The server sent a session ticket."""

    ticket: bytes


@dataclass(frozen=True)
class TokenReceived(Event):
    """The server sent an address-validation token for a later connection (NEW_TOKEN)."""

    token: bytes


@dataclass(frozen=True)
class StreamOpened(Event):
    """The peer opened a stream."""

    stream_id: int


@dataclass(frozen=True)
class StreamReadable(Event):
    """A stream that had nothing to read now has bytes, or its end."""

    stream_id: int


@dataclass(frozen=True)
class StreamWritable(Event):
    """A stream that had refused bytes takes some again."""

    stream_id: int


@dataclass(frozen=True)
class StreamResetByPeer(Event):
    """The peer gave up sending (RESET_STREAM)."""

    stream_id: int
    code: int


@dataclass(frozen=True)
class StreamStoppedByPeer(Event):
    """The peer no longer reads (STOP_SENDING)."""

    stream_id: int
    code: int


@dataclass(frozen=True)
class StreamsAvailable(Event):
    """The peer raised a stream limit that had held back an open."""

    bidirectional: bool


@dataclass(frozen=True)
class DatagramsReadable(Event):
    """The datagram queue is no longer empty."""


@dataclass(frozen=True)
class PathAdded(Event):
    """A path ID came into use."""

    path_id: int
    remote: Address


@dataclass(frozen=True)
class PathValidated(Event):
    """The peer proved that it is reached at this address (RFC 9000 8.2)."""

    path_id: int
    remote: Address


@dataclass(frozen=True)
class PathMigrated(Event):
    """A path goes to another address from now on (RFC 9000 9)."""

    path_id: int
    remote: Address


@dataclass(frozen=True)
class PathDegraded(Event):
    """A path loses so much that schedulers should avoid it."""

    path_id: int


@dataclass(frozen=True)
class PathFailed(Event):
    """A path no longer answers; its data goes elsewhere."""

    path_id: int


@dataclass(frozen=True)
class PathAbandoned(Event):
    """A path was given up by either side."""

    path_id: int
    code: int
    from_peer: bool


@dataclass(frozen=True)
class MtuChanged(Event):
    """A route carries datagrams of another size now (UDP payload bytes)."""

    path_id: int
    size: int


@dataclass(frozen=True)
class AddressObserved(Event):
    """The peer told which address it sees us at."""

    address: Address


@dataclass(frozen=True)
class ConnectionClosing(Event):
    """The connection is closing or draining; nothing more is delivered."""

    error: ConnectionLost | None


@dataclass(frozen=True)
class ConnectionClosed(Event):
    """Nothing of the connection is left. ``error`` tells who ended it and why."""

    error: ConnectionLost | None
