"""How a connection ends: close, drain, idle, handshake timeout (RFC 9000 10)."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.state import (
    ACTIVE,
    CLOSED,
    CLOSING,
    DRAINING,
    ConnectionState,
)
from ropewalk.quic.connection.watching import tell_closed
from ropewalk.quic.types.errors import (
    ApplicationError,
    ConnectionLost,
    HandshakeError,
    HandshakeTimeout,
    IdleTimeout,
    TransportError,
)
from ropewalk.quic.types.events import ConnectionClosed, ConnectionClosing

#: 10.2: closing and draining last three probe timeouts.
_CLOSE_PERIOD: Final = 3.0
#: Reason phrases are cut to this, so that a close always fits one datagram.
_MAX_REASON: Final = 512


@final
class Lifecycle:
    """Ends a connection once, whatever the cause, and tells the owner why."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        self.close_deadline = inf
        #: what CONNECTION_CLOSE says; None code when nothing is to be sent
        self.code: i64 = 0
        self.frame_type: i64 = 0
        self.reason = b""
        self.application = False
        #: a CONNECTION_CLOSE waits to be sent
        self.pending = False
        self._arrivals: i64 = 0
        self._reply_at: i64 = 1

    def close_by_application(self, code: int, reason: str, now: float) -> None:
        """The application closes (10.2). A second call, or one after the end, does nothing."""
        if self._state.life != ACTIVE:
            return
        self.application = True
        error = ApplicationError(code, reason)
        self._start_closing(code, 0, reason, error, now)

    def fail(self, error: TransportError, now: float) -> None:
        """A rule was broken: close with the error's code and frame type."""
        if self._state.life != ACTIVE:
            return
        self._start_closing(error.code, error.frame_type, error.reason, error, now)

    def on_peer_close(
        self, code: int, frame_type: int, reason: str, application: bool, now: float
    ) -> None:
        """A CONNECTION_CLOSE arrived: drain (10.2.2)."""
        state = self._state
        if state.life == CLOSING:
            state.move(DRAINING, now)
            self.pending = False
            return
        if state.life != ACTIVE:
            return
        error: ConnectionLost
        if application:
            error = ApplicationError(code, reason, from_peer=True)
        elif 0x100 <= code <= 0x1FF:
            error = HandshakeError(code - 0x100, reason, from_peer=True)
        else:
            error = TransportError(code, reason, frame_type, from_peer=True)
        self._drain(error, now)

    def on_reset(self, error: ConnectionLost, now: float) -> None:
        """A stateless reset arrived (10.3.1): drain, send nothing."""
        if self._state.life == ACTIVE:
            self._drain(error, now)

    def abandon(self, error: ConnectionLost, now: float) -> None:
        """End at once, in silence: nobody is there to be told."""
        state = self._state
        if state.life == CLOSED:
            return
        if state.life == ACTIVE:
            self._end(error, now)
        state.move(CLOSED, now)
        self.pending = False
        self.close_deadline = inf
        state.events.append(ConnectionClosed(state.error))

    def on_arrival_while_closing(self) -> None:
        """10.2.1: repeat the close for arrivals, ever more rarely."""
        self._arrivals += 1
        if self._arrivals >= self._reply_at:
            self._reply_at *= 2
            self._arrivals = 0
            self.pending = True

    def deadline(self) -> float:
        """When the connection ends or times out by itself."""
        state = self._state
        if state.life != ACTIVE:
            return self.close_deadline
        earliest = inf
        if not state.handshake_complete:
            earliest = state.started + state.config.handshake_timeout
        if state.idle_timeout > 0:
            earliest = min(earliest, self._idle_deadline())
        return earliest

    def on_timeout(self, now: float) -> None:
        """Act on whatever of :meth:`deadline` is due."""
        state = self._state
        if state.life == CLOSED or now < self.deadline():
            return
        if state.life != ACTIVE:
            state.move(CLOSED, now)
            self.close_deadline = inf
            self.pending = False
            state.events.append(ConnectionClosed(state.error))
            return
        if not state.handshake_complete:
            waited = now - state.started
            # As deadline() adds it up: the difference may be less by a rounding error.
            late = now >= state.started + state.config.handshake_timeout
            if late or state.authenticated_packets == 0:
                heard = "" if state.authenticated_packets else "; the peer never answered"
                self.abandon(
                    HandshakeTimeout(
                        f"no handshake with {state.path.active.remote} within "
                        f"{waited:.1f} seconds{heard}"
                    ),
                    now,
                )
                return
        self.abandon(
            IdleTimeout(
                f"nothing was heard from {state.path.active.remote} for "
                f"{now - state.last_activity:.1f} seconds"
            ),
            now,
        )

    def _idle_deadline(self) -> float:
        state = self._state
        # 10.1: never shorter than three PTOs, so that a loss can still be repaired.
        return state.last_activity + max(state.idle_timeout, _CLOSE_PERIOD * state.probe_timeout())

    def _start_closing(
        self, code: int, frame_type: int, reason: str, error: ConnectionLost, now: float
    ) -> None:
        state = self._state
        self.code = code
        self.frame_type = frame_type
        # Cut between characters, for the words have to be UTF-8 (19.19).
        words = reason.encode("utf-8", "replace")[:_MAX_REASON]
        self.reason = words.decode("utf-8", "ignore").encode()
        self.pending = True
        self.close_deadline = now + _CLOSE_PERIOD * state.probe_timeout()
        self._end(error, now)
        state.move(CLOSING, now)

    def _drain(self, error: ConnectionLost, now: float) -> None:
        state = self._state
        self.pending = False
        self.close_deadline = now + _CLOSE_PERIOD * state.probe_timeout()
        self._end(error, now)
        state.move(DRAINING, now)

    def _end(self, error: ConnectionLost, now: float) -> None:
        """It is known now why the connection ends."""
        state = self._state
        state.error = error
        if state.observer is not None:
            tell_closed(state.observer, error, now)
        state.events.append(ConnectionClosing(error))
