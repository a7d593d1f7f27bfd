"""How often each side acknowledges (draft-ietf-quic-ack-frequency-14).

What the peer asks for goes to the received packets of the path. What we ask for follows the
congestion window: eight acknowledgements a window are enough for its growth and for loss
detection, and at two packets each they would cost both sides more than that.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frame_types import ACK_FREQUENCY
from ropewalk.quic.wire.frames.acks import AckFrequencyFrame
from ropewalk.quic.wire.writers import write_ack_frequency

#: Drivers' timers are a millisecond coarse. Microseconds.
_TIMER_US: Final = 1000
#: Exclusive bound of max_ack_delay (RFC 9000 18.2), in microseconds.
_LARGEST_DELAY_US: Final = (1 << 14) * 1000
#: Packets that one acknowledgement may stand for, at least and at most.
_FEWEST: Final = 2
_MOST: Final = 64
_PER_WINDOW: Final = 8
#: The peer's ACK is to come within this part of a round trip.
_DELAY_DIVISOR: Final = 4.0
#: Round trips between two requests.
_PATIENCE: Final = 4.0
#: kPacketThreshold of RFC 9002 6.1.1: an ACK is of use as soon as loss can be declared.
_REORDERING: Final = 3


def own_min_ack_delay_us(config: Configuration) -> int | None:
    """The shortest delay that this side offers to keep; None without the extension."""
    if not config.ack_frequency:
        return None
    # Not larger than max_ack_delay, which travels in whole milliseconds.
    return min(_TIMER_US, round(config.max_ack_delay * 1000) * 1000)


@final
class AckFrequency:
    """Takes the peer's requests, and makes ours where the peer takes them."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        self._largest_seen: i64 = -1
        self._sequence: i64 = -1
        self._threshold: i64 = _FEWEST
        self._next_look = 0.0
        self._route: RouteRecovery | None = None

    def on_frame(self, frame: AckFrequencyFrame) -> None:
        """The peer's request. Raises ``TransportError`` for a delay that is none."""
        least = own_min_ack_delay_us(self._state.config) or 0
        if not least <= frame.max_ack_delay_us < _LARGEST_DELAY_US:
            raise TransportError(
                PROTOCOL_VIOLATION,
                f"an ACK delay of {frame.max_ack_delay_us} microseconds was requested; at least "
                f"{least} and less than {_LARGEST_DELAY_US} can be kept",
                ACK_FREQUENCY,
            )
        if frame.sequence_number <= self._largest_seen:
            return
        self._largest_seen = frame.sequence_number
        self._state.path.space.received.follow(
            frame.ack_eliciting_threshold, frame.max_ack_delay_us * 1e-6, frame.reordering_threshold
        )

    def look(self, recovery: RouteRecovery, now: float) -> None:
        """An ACK came: ask for another frequency where the window has become another one."""
        state = self._state
        if not state.config.ack_frequency or now < self._next_look or not recovery.rtt.has_sample:
            return
        if state.peer_parameters is None or state.peer_parameters.min_ack_delay_us is None:
            return
        self._next_look = now + _PATIENCE * recovery.rtt.smoothed
        window = recovery.controller.congestion_window // recovery.max_datagram_size
        wanted = min(max(window // _PER_WINDOW, _FEWEST), _MOST)
        moved = recovery is not self._route and self._route is not None
        self._route = recovery
        # A request for each packet more would be traffic of its own.
        if moved or wanted >= 2 * self._threshold or 2 * wanted <= self._threshold:
            self._threshold = wanted
            self._sequence += 1
            state.ack_frequency_pending = True

    def on_lost(self, sequence: i64) -> None:
        """A request was lost; only the newest one is of use."""
        if sequence == self._sequence:
            self._state.ack_frequency_pending = True

    def write(self, writer: BytesWriter) -> i64:
        """Append the newest request; its sequence number."""
        state = self._state
        state.ack_frequency_pending = False
        parameters = state.peer_parameters
        least: i64 = 0
        if parameters is not None and parameters.min_ack_delay_us is not None:
            least = parameters.min_ack_delay_us
        most: i64 = i64(state.peer_max_ack_delay * 1e6)
        delay = i64(state.path.active.recovery.rtt.smoothed / _DELAY_DIVISOR * 1e6)
        delay = max(min(delay, most), least)
        # The threshold of the wire is exceeded, not reached, when an ACK is due.
        write_ack_frequency(writer, self._sequence, self._threshold - 1, delay, _REORDERING)
        return self._sequence
