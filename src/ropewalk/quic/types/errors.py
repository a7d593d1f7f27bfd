"""The one exception tree. Each error says what happened, why, and what to do about it."""

from __future__ import annotations

from ropewalk.quic.types.error_codes import alert_name, transport_error_name


class Error(Exception):
    """Root of everything that Ropewalk raises on purpose."""


class ConfigurationError(Error):
    """A setting is out of range or contradicts another one."""


class Unsupported(Error):
    """The feature is real, but this build, peer or system does not have it."""


class ConnectionLost(Error):
    """Root of the errors that end a connection, or say why there is none."""


class TransportError(ConnectionLost):
    """The transport closed the connection with an error code (RFC 9000 20.1).

    ``frame_type`` is the frame that caused it (0 when unknown), ``from_peer`` tells who
    closed. ``number`` is 500 + code.
    """

    def __init__(
        self, code: int, reason: str = "", frame_type: int = 0, from_peer: bool = False
    ) -> None:
        super().__init__(code, reason, frame_type, from_peer)
        self.code = code
        self.reason = reason
        self.frame_type = frame_type
        self.from_peer = from_peer
        self.number = 500 + code

    def __str__(self) -> str:
        who = "the peer closed" if self.from_peer else "closed"
        name = transport_error_name(self.code)
        text = f"{who} the connection with {name} (0x{self.code:x})"
        if self.frame_type:
            text += f" because of a frame of type 0x{self.frame_type:x}"
        return f"{text}: {self.reason}" if self.reason else text


class HandshakeError(TransportError):
    """The cryptographic handshake failed. ``alert`` is the TLS alert's number (RFC 9846 6)."""

    def __init__(self, alert: int, reason: str = "", from_peer: bool = False) -> None:
        super().__init__(0x100 + alert, reason, 0x06, from_peer)
        self.alert = alert

    def __str__(self) -> str:
        who = "the peer refused the handshake" if self.from_peer else "the handshake failed"
        text = f"{who} with alert {alert_name(self.alert)} ({self.alert})"
        return f"{text}: {self.reason}" if self.reason else text


class ApplicationError(ConnectionLost):
    """The application on either side closed the connection (RFC 9000 20.2)."""

    def __init__(self, code: int, reason: str = "", from_peer: bool = False) -> None:
        super().__init__(code, reason, from_peer)
        self.code = code
        self.reason = reason
        self.from_peer = from_peer
        self.number = 500 + code

    def __str__(self) -> str:
        who = "the peer" if self.from_peer else "this side"
        text = f"{who} closed the connection with application code {self.code}"
        return f"{text}: {self.reason}" if self.reason else text


class IdleTimeout(ConnectionLost):
    """Nothing was heard from the peer for the negotiated idle timeout (RFC 9000 10.1)."""


class HandshakeTimeout(ConnectionLost):
    """The handshake did not complete in time."""


class ConnectionRefused(ConnectionLost):
    """The system reports that nobody listens at the address."""


class VersionMismatch(ConnectionLost):
    """The server speaks none of our versions (RFC 9000 6.2). ``offered`` lists its own."""

    def __init__(self, offered: tuple[int, ...]) -> None:
        super().__init__(offered)
        self.offered = offered

    def __str__(self) -> str:
        listed = ", ".join(f"0x{version:08x}" for version in self.offered)
        return f"the server does not speak our QUIC version; it offers {listed or 'none'}"


class StatelessReset(ConnectionLost):
    """The peer lost the connection's state and reset it (RFC 9000 10.3)."""


class StreamError(Error):
    """Root of the errors that end one direction of one stream."""


class StreamReset(StreamError):
    """The peer gave up sending on this stream (RESET_STREAM). ``number`` is 500 + code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        self.number = 500 + code

    def __str__(self) -> str:
        return f"the peer reset the stream with application code {self.code}"


class StopSending(StreamError):
    """The peer no longer reads this stream (STOP_SENDING). ``number`` is 500 + code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        self.number = 500 + code

    def __str__(self) -> str:
        return f"the peer stopped reading the stream with application code {self.code}"


class StreamStateError(StreamError):
    """The call does not fit the stream's state, such as a write after ``finish``."""
