"""Follows packets, acknowledgements, losses and stream data through a log."""

from __future__ import annotations

import math
from typing import Final, final

from ropewalk.lab.trace.coverage import Coverage
from ropewalk.lab.trace.frames import CRYPTO, DATAGRAM, FrameList, StreamData, close_of, read_frames
from ropewalk.lab.trace.handshake import HandshakeFacts
from ropewalk.lab.trace.ledger import SpaceLedger
from ropewalk.lab.trace.model import PACKET_TYPES, SPACE_OF, Close, PacketTable, Series, Stream
from ropewalk.lab.trace.names import number_space, packet_kind
from ropewalk.lab.trace.oddities import Oddities
from ropewalk.lab.trace.recovery import RecoveryLog, path_id
from ropewalk.lab.trace.values import integer, items, mapping, number, text

_MOST_STREAMS: Final = 100_000
_MOST_SPACES: Final = 1000
_MAX_PACKET: Final = 65_535
_INITIAL: Final = PACKET_TYPES.index("initial")
_ONE_RTT: Final = PACKET_TYPES.index("1RTT")

Fields = dict[str, object]


@final
class PacketLog:
    """The packets of a trace and what follows from them."""

    def __init__(
        self, recovery: RecoveryLog, handshake: HandshakeFacts, oddities: Oddities
    ) -> None:
        self.table = PacketTable()
        self.acknowledged_rtt = Series()
        self.close: Close | None = None
        self._recovery = recovery
        self._handshake = handshake
        self._oddities = oddities
        self._ledgers: dict[tuple[int, str], SpaceLedger] = {}
        self._streams: dict[int, Stream] = {}
        #: Of sent data and of received data, per stream.
        self._covered: tuple[dict[int, Coverage], dict[int, Coverage]] = ({}, {})

    def streams(self) -> tuple[Stream, ...]:
        """The streams with data, in the order of their first frame."""
        return tuple(stream for stream in self._streams.values() if stream.stream_id >= 0)

    def resent_bytes(self) -> int:
        """Bytes of STREAM and CRYPTO frames that were sent again."""
        return sum(stream.resent for stream in self._streams.values())

    def packet(self, time: float, data: Fields, event: Fields, *, sent: bool) -> None:
        """A packet was sent or received."""
        header = mapping(data.get("header"))
        kind = packet_kind(header.get("packet_type", data.get("packet_type")))
        packet_number = integer(header.get("packet_number"))
        self._handshake.packet_version(header.get("version"))
        path = self._recovery.path_of(data, event)
        frames = read_frames(data.get("frames"))
        row = self.table.add(
            time,
            sent,
            kind,
            path,
            -1 if packet_number is None else packet_number,
            _packet_size(data, header),
            frames.eliciting,
            frames.ack_delay,
            frames.text(),
        )
        if kind == _INITIAL:
            self._handshake.initial_packet()
        if kind == _ONE_RTT:
            self._handshake.one_rtt_packet(time, sent)
        if sent and packet_number is not None and SPACE_OF[kind] >= 0:
            ledger = self._ledger(SPACE_OF[kind], path_id(data, event))
            if not ledger.add(packet_number, row):
                self._oddities.count("sent packets whose numbers do not rise")
        self._frames(time, frames, row, kind, path_id(data, event), sent)

    def lost(self, time: float, data: Fields, event: Fields) -> None:
        """A packet was declared lost."""
        header = mapping(data.get("header")) or data
        kind = header.get("packet_type", data.get("packet_type", data.get("type")))
        space = SPACE_OF[packet_kind(kind)] if kind else -1
        if space < 0:
            space = number_space(data.get("packet_number_space"))
        packet_number = integer(header.get("packet_number"))
        ledger = self._ledger(space, path_id(data, event))
        row = -1 if packet_number is None else ledger.row(packet_number)
        if row < 0:
            self._oddities.count("losses of packets that the log does not have")
        else:
            self.table.lost[row] = time

    def acknowledged(self, time: float, space: int, path: str, first: int, last: int) -> list[int]:
        """Packets first … last are acknowledged; the rows of those that were not before."""
        rows = list(self._ledger(space, path).acknowledge(first, last))
        for row in rows:
            self.table.acked[row] = time
        return rows

    def closed(self, time: float, data: Fields) -> None:
        """The log says how the connection ended."""
        error, reason = close_of(data)
        initiator = text(data.get("initiator"), 10) or text(data.get("owner"), 10)
        trigger = text(data.get("trigger"), 40)
        if error == "no error" and trigger not in ("", "unspecified"):
            error = trigger.replace("_", " ")
        if self.close is not None and self.close.reason and not reason:
            reason = self.close.reason
        self.close = Close(time, initiator, error, reason)

    def http_frame(self, data: Fields) -> None:
        """Requests give their streams a label."""
        frame = mapping(data.get("frame"))
        stream_id = integer(data.get("stream_id"))
        if stream_id is None or frame.get("frame_type") != "headers":
            return
        fields: dict[str, str] = {}
        for each in items(frame.get("headers"))[:100]:
            field = mapping(each)
            fields[text(field.get("name"), 40)] = text(field.get("value"), 80)
        if ":method" in fields:
            stream = self._stream(stream_id)
            stream.label = f"{fields[':method']} {fields.get(':path', '')}".strip()

    def finish(self) -> None:
        """Streams that only a label is known of are none."""
        for stream_id in [
            stream.stream_id for stream in self._streams.values() if math.isnan(stream.first)
        ]:
            del self._streams[stream_id]

    def _frames(
        self, time: float, frames: FrameList, row: int, kind: int, own_path: str, sent: bool
    ) -> None:
        if frames.unread:
            self._oddities.count("frames that cannot be read", frames.unread)
        for each in frames.data:
            self._data(time, each, row, SPACE_OF[kind], sent)
        for stream_id in frames.resets:
            self._stream(stream_id).reset = True
        if frames.close is not None and self.close is None:
            self.close = Close(time, "local" if sent else "remote", *frames.close)
        if sent:
            return
        for path_name, ranges, _ in frames.acks:
            self._ack(time, SPACE_OF[kind], path_name or own_path, ranges)

    def _ack(self, time: float, space: int, path: str, ranges: list[tuple[int, int]]) -> None:
        rows: list[int] = []
        for first, last in sorted(ranges):
            rows += self.acknowledged(time, space, path, first, last)
        table = self.table
        # RFC 9002 5.1: a sample needs the largest, and anything ack-eliciting, to be news.
        is_news = rows and table.number[rows[-1]] == max(last for _, last in ranges)
        if is_news and any(table.eliciting[row] for row in rows):
            self.acknowledged_rtt.add(time, time - table.time[rows[-1]], repeat=True)

    def _data(self, time: float, data: StreamData, row: int, space: int, sent: bool) -> None:
        stream_id, offset, size, fin = data
        if stream_id == DATAGRAM:
            self.table.fresh[row] += size
            return
        stream = self._stream(stream_id - space if stream_id == CRYPTO else stream_id)
        covered = self._covered[0 if sent else 1].setdefault(stream.stream_id, Coverage())
        new = covered.add(offset, offset + size)
        if stream_id != CRYPTO:
            self.table.fresh[row] += new
        if sent:
            stream.sent += new
            stream.resent += size - new
        else:
            stream.received += new
        stream.first = time if math.isnan(stream.first) else min(stream.first, time)
        stream.last = time if math.isnan(stream.last) else max(stream.last, time)
        stream.finished = stream.finished or fin

    def _ledger(self, space: int, path: str) -> SpaceLedger:
        """Without multipath all is on path 0, which need not be named then."""
        key = space, path or "0"
        ledger = self._ledgers.get(key)
        if ledger is None:
            if len(self._ledgers) >= _MOST_SPACES:
                return next(iter(self._ledgers.values()))
            ledger = self._ledgers[key] = SpaceLedger()
        return ledger

    def _stream(self, stream_id: int) -> Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            if len(self._streams) >= _MOST_STREAMS:
                self._oddities.count("frames of streams beyond the first hundred thousand")
                return next(iter(self._streams.values()))
            stream = self._streams[stream_id] = Stream(stream_id)
        return stream


def _packet_size(data: Fields, header: Fields) -> int:
    """The length of a packet, which has had several places."""
    raw = mapping(data.get("raw"))
    places = (
        raw.get("length"),
        data.get("packet_size"),
        header.get("packet_size"),
        raw.get("payload_length"),
        header.get("payload_length"),
    )
    for place in places:
        size = number(place)
        if size is not None and 0 <= size <= _MAX_PACKET:
            return int(size)
    return 0
