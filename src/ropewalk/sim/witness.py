"""Keeps its own books on every plaintext packet of one connection, and compares.

The witness knows nothing of the sent ledger, the streams or the flow control: it reads what
was sealed and opened (:mod:`ropewalk.sim.plaintext`) and draws its own conclusions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ropewalk.observe.observer import Observer
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.sim.oracles import Oracle, Violation
from ropewalk.sim.plaintext import Seen, Unreadable, frames_of

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.sim.network import Host

_PADDING, _ACK, _CRYPTO, _STREAM, _RESET_STREAM = 0x00, 0x02, 0x06, 0x08, 0x04
_MAX_DATA, _MAX_STREAM_DATA, _MAX_STREAMS_BIDI, _MAX_STREAMS_UNI = 0x10, 0x11, 0x12, 0x13
_NOT_IN_FLIGHT = (_ACK, 0x1C, 0x1D)


@final
class _Space:
    """The books of one packet-number space."""

    def __init__(self) -> None:
        self.last_sent = -1
        #: sizes of packets in flight, by packet number, in the order of sending
        self.outstanding: dict[int, int] = {}
        self.bytes_in_flight = 0
        self.sent = 0
        self.acked = 0
        self.lost = 0
        self.received: set[int] = set()
        self.limits_sent: dict[tuple[int, ...], int] = {}


@final
class _SentStream:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.highest = 0
        self.final_size = -1


@final
class Witness(Observer):
    """The observer of one connection. ``peer`` is the configuration of the other side, whose
    windows bound what may be sent. Laws: packet numbers rise; nothing is processed twice;
    only sent packets are acknowledged or lost, each once; only received ones are
    acknowledged by us; sent = acknowledged + lost + in flight, to the byte; streams start
    where they left off and stay within every limit that the peer announced; announced
    limits never shrink.
    """

    def __init__(self, name: str, is_client: bool, peer: Configuration) -> None:
        self.name = name
        self._is_client = is_client
        self.packets_sent = 0
        self.packets_received = 0
        self.oracle: Oracle = _Audit(self)
        self._peer = peer
        self._spaces: dict[int, _Space] = {}
        self._streams: dict[int, _SentStream] = {}
        self._max_data = peer.connection_window
        self._max_streams_bidi = peer.max_bidirectional_streams
        self._max_streams_uni = peer.max_unidirectional_streams
        self._stream_limits: dict[int, int] = {}
        self._data_sent = 0
        self._host: Host | None = None
        self._connection: Connection | None = None

    def watch(self, host: Host, connection: Connection) -> None:
        """Compare the books with this connection after each step of its host."""
        self._host = host
        self._connection = connection

    # -- hooks

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self.packets_sent += 1
        space = self._space(level)
        if packet_number <= space.last_sent:
            self._broken(now, f"packet {packet_number} was sent after {space.last_sent}")
        space.last_sent = packet_number
        in_flight = False
        for frame in self._frames(now, payload, "sent"):
            kind = frame[0]
            if kind not in _NOT_IN_FLIGHT:
                in_flight = True
            if kind == _STREAM:
                self._on_stream_sent(now, frame)
            elif kind == _RESET_STREAM:
                self._on_reset_sent(now, frame)
            elif kind == _ACK:
                self._on_ack_sent(now, space, frame)
            elif kind in (_MAX_DATA, _MAX_STREAM_DATA, _MAX_STREAMS_BIDI, _MAX_STREAMS_UNI):
                self._on_limit_sent(now, space, frame)
        if in_flight:
            space.sent += 1
            space.outstanding[packet_number] = size
            space.bytes_in_flight += size

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self.packets_received += 1
        space = self._space(level)
        if packet_number in space.received:
            self._broken(now, f"packet {packet_number} is processed twice")
        space.received.add(packet_number)
        for frame in self._frames(now, payload, "received"):
            kind = frame[0]
            if kind == _ACK:
                self._on_ack_received(now, space, frame)
            elif kind == _MAX_DATA:
                self._max_data = max(self._max_data, frame[1])
            elif kind == _MAX_STREAM_DATA:
                stream = self._stream(frame[1])
                stream.limit = max(stream.limit, frame[2])
            elif kind == _MAX_STREAMS_BIDI:
                self._max_streams_bidi = max(self._max_streams_bidi, frame[1])
            elif kind == _MAX_STREAMS_UNI:
                self._max_streams_uni = max(self._max_streams_uni, frame[1])

    def packets_lost(self, now: float, level: int, path_id: int, packet_numbers: list[int]) -> None:
        space = self._space(level)
        for number in packet_numbers:
            size = space.outstanding.pop(number, -1)
            if size < 0:
                self._broken(now, f"packet {number} is declared lost, but it is not in flight")
            space.bytes_in_flight -= size
            space.lost += 1

    # -- books

    def _on_ack_received(self, now: float, space: _Space, frame: Seen) -> None:
        if frame[1] > space.last_sent:
            self._broken(now, f"the peer acknowledges packet {frame[1]}, {space.last_sent} is last")
        outstanding = space.outstanding
        oldest = next(iter(outstanding), None)
        if oldest is None:
            return
        for index in range(1, len(frame), 2):
            high, low = frame[index], max(frame[index + 1], oldest)
            for number in range(low, high + 1):
                size = outstanding.pop(number, -1)
                if size >= 0:
                    space.bytes_in_flight -= size
                    space.acked += 1

    def _on_ack_sent(self, now: float, space: _Space, frame: Seen) -> None:
        for number in frame[1:]:
            if number not in space.received:
                self._broken(now, f"packet {number} is acknowledged but never came")

    def _on_stream_sent(self, now: float, frame: Seen) -> None:
        _, stream_id, offset, length, fin = frame
        self._check_number(now, stream_id)
        stream = self._stream(stream_id)
        end = offset + length
        if offset > stream.highest:
            self._broken(now, f"stream {stream_id} jumps from {stream.highest} to {offset}")
        if end > stream.limit:
            self._broken(now, f"stream {stream_id} reaches {end}, its limit is {stream.limit}")
        if stream.final_size >= 0 and end > stream.final_size:
            self._broken(now, f"stream {stream_id} goes on behind its end {stream.final_size}")
        if fin:
            if stream.final_size not in (-1, end) or end < stream.highest:
                self._broken(now, f"stream {stream_id} ends at {end} and at {stream.final_size}")
            stream.final_size = end
        if end > stream.highest:
            self._data_sent += end - stream.highest
            stream.highest = end
            if self._data_sent > self._max_data:
                self._broken(
                    now, f"{self._data_sent} bytes on all streams, the limit is {self._max_data}"
                )

    def _on_reset_sent(self, now: float, frame: Seen) -> None:
        stream = self._stream(frame[1])
        if frame[3] != stream.highest or stream.final_size not in (-1, frame[3]):
            self._broken(now, f"stream {frame[1]} is reset at {frame[3]}, not {stream.highest}")
        stream.final_size = frame[3]

    def _on_limit_sent(self, now: float, space: _Space, frame: Seen) -> None:
        key, value = frame[:-1], frame[-1]
        before = space.limits_sent.get(key, 0)
        if value < before:
            self._broken(now, f"limit {key} shrinks from {before} to {value}")
        space.limits_sent[key] = value

    def _stream(self, stream_id: int) -> _SentStream:
        stream = self._streams.get(stream_id)
        if stream is None:
            # Both windows of a configuration are equal for all three kinds of streams.
            stream = _SentStream(self._peer.stream_window)
            self._streams[stream_id] = stream
        return stream

    def _check_number(self, now: float, stream_id: int) -> None:
        """Streams that this side opens are numbered below the peer's limit (RFC 9000 4.6)."""
        if bool(stream_id & 1) == self._is_client:
            return
        limit = self._max_streams_uni if stream_id & 2 else self._max_streams_bidi
        if stream_id // 4 >= limit:
            self._broken(now, f"stream {stream_id} is number {stream_id // 4 + 1} of {limit}")

    def _space(self, level: int) -> _Space:
        space = self._spaces.get(level)
        if space is None:
            space = _Space()
            self._spaces[level] = space
        return space

    def _frames(self, now: float, payload: bytes, what: str) -> list[Seen]:
        try:
            frames = frames_of(payload)
        except Unreadable as error:
            self._broken(now, f"a payload that was {what} is unreadable: {error}")
            return []
        if not frames:
            self._broken(now, f"a packet that was {what} has no frames (RFC 9000 12.4)")
        return frames

    def _broken(self, now: float, what: str) -> None:
        raise Violation(f"{self.name} at {now:.6f} s: {what}")

    # -- comparison

    def audit(self) -> None:
        """Compare with what the connection says of itself."""
        connection, host = self._connection, self._host
        if connection is None or host is None or connection.closed:
            return
        if connection.close_error is not None or not connection.handshake_confirmed:
            # The handshake spaces vanish at confirmation, with what was in flight there.
            return
        space = self._space(ONE_RTT)
        stated = sum(stats.bytes_in_flight for stats in connection.path_stats())
        if stated != space.bytes_in_flight:
            self._broken(
                host.now,
                f"the connection counts {stated} bytes in flight; of {space.sent} packets sent "
                f"{space.acked} are acknowledged, {space.lost} lost and "
                f"{len(space.outstanding)} in flight with {space.bytes_in_flight} bytes",
            )
        if space.sent != space.acked + space.lost + len(space.outstanding):
            self._broken(host.now, "the witness's own books do not balance")


@final
class _Audit(Oracle):
    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def after_step(self, host: Host) -> None:
        if host is self._witness._host:
            self._witness.audit()
