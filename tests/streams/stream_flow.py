"""Two sets of streams and a channel between them that loses, reorders and repeats packets.

Packets are real payloads: what one side writes is parsed by the wire layer and handed to
the other side. Acknowledgments are the test's decision, so any fate can be played.
"""

from __future__ import annotations

import os

from librt.strings import BytesWriter

from ropewalk.quic.recovery.sent_packet import SentPacket
from ropewalk.quic.streams.table import Streams
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.events import Event
from ropewalk.quic.wire.frames import (
    DataBlockedFrame,
    Frame,
    MaxDataFrame,
    MaxStreamDataFrame,
    MaxStreamsFrame,
    PaddingFrame,
    ResetStreamFrame,
    StopSendingFrame,
    StreamDataBlockedFrame,
    StreamFrame,
    StreamsBlockedFrame,
    parse_frames,
)


def configuration(
    *,
    connection_window: int = 1 << 20,
    connection_window_limit: int = 1 << 24,
    stream_window: int = 1 << 19,
    stream_window_limit: int = 1 << 24,
    send_buffer: int = 1 << 22,
    max_bidirectional_streams: int = 128,
    max_unidirectional_streams: int = 128,
) -> Configuration:
    return Configuration(
        entropy=os.urandom,
        wall_clock=lambda: 0.0,
        alpn=("test",),
        connection_window=connection_window,
        connection_window_limit=max(connection_window, connection_window_limit),
        stream_window=stream_window,
        stream_window_limit=max(stream_window, stream_window_limit),
        send_buffer=send_buffer,
        max_bidirectional_streams=max_bidirectional_streams,
        max_unidirectional_streams=max_unidirectional_streams,
    )


class Packet:
    """A payload on its way, with the slot that remembers it."""

    def __init__(self, payload: bytes, slot: SentPacket) -> None:
        self.payload = payload
        self.slot = slot

    def frames(self) -> list[Frame]:
        return [frame for frame in parse_frames(self.payload) if type(frame) is not PaddingFrame]

    def stream_frames(self) -> list[StreamFrame]:
        return [frame for frame in self.frames() if isinstance(frame, StreamFrame)]


class Side:
    """One end of a connection, reduced to its streams."""

    def __init__(self, is_client: bool, config: Configuration | None = None) -> None:
        self.config = config or configuration()
        self.events: list[Event] = []
        self.streams = Streams(is_client, self.config, self.events)

    def meet(self, peer: Side) -> None:
        """Take the limits that the peer's configuration grants."""
        theirs = peer.config
        self.streams.set_peer_limits(
            theirs.connection_window,
            theirs.stream_window,
            theirs.stream_window,
            theirs.stream_window,
            theirs.max_bidirectional_streams,
            theirs.max_unidirectional_streams,
        )

    def packet(self, size: int = 1200) -> Packet | None:
        """The next packet, or None when there is nothing to send."""
        if not self.streams.has_frames():
            return None
        writer = BytesWriter()
        slot = SentPacket()
        self.streams.write_control_frames(writer, size, slot)
        self.streams.write_stream_frames(writer, size, slot)
        assert len(writer) <= size
        assert len(writer) > 0, "frames were promised and none was written"
        return Packet(writer.getvalue(), slot)

    def packets(self, size: int = 1200, at_most: int = 1 << 30) -> list[Packet]:
        """All packets that can be sent now."""
        made: list[Packet] = []
        while len(made) < at_most:
            packet = self.packet(size)
            if packet is None:
                break
            made.append(packet)
        return made

    def receive(self, packet: Packet) -> None:
        for frame in packet.frames():
            self.receive_frame(frame)

    def receive_frame(self, frame: Frame) -> None:
        streams = self.streams
        if isinstance(frame, StreamFrame):
            streams.on_stream(frame.stream_id, frame.offset, frame.data, frame.fin)
        elif isinstance(frame, ResetStreamFrame):
            streams.on_reset_stream(frame.stream_id, frame.code, frame.final_size)
        elif isinstance(frame, StopSendingFrame):
            streams.on_stop_sending(frame.stream_id, frame.code)
        elif isinstance(frame, MaxDataFrame):
            streams.on_max_data(frame.maximum)
        elif isinstance(frame, MaxStreamDataFrame):
            streams.on_max_stream_data(frame.stream_id, frame.maximum)
        elif isinstance(frame, MaxStreamsFrame):
            streams.on_max_streams(frame.maximum, frame.bidirectional)
        elif isinstance(frame, DataBlockedFrame):
            streams.on_data_blocked(frame.limit)
        elif isinstance(frame, StreamDataBlockedFrame):
            streams.on_stream_data_blocked(frame.stream_id, frame.limit)
        elif isinstance(frame, StreamsBlockedFrame):
            streams.on_streams_blocked(frame.limit, frame.bidirectional)
        else:
            raise AssertionError(f"unexpected {frame}")

    def acked(self, packet: Packet) -> None:
        slot = packet.slot
        if slot.stream_id >= 0:
            self.streams.on_stream_acked(
                slot.stream_id, slot.stream_offset, slot.stream_length, slot.stream_fin
            )
        for token in slot.tokens or []:
            self.streams.on_token_acked(token)

    def lost(self, packet: Packet) -> None:
        slot = packet.slot
        if slot.stream_id >= 0:
            self.streams.on_stream_lost(
                slot.stream_id, slot.stream_offset, slot.stream_length, slot.stream_fin
            )
        for token in slot.tokens or []:
            self.streams.on_token_lost(token)

    def check(self) -> None:
        """The oracles that hold at every moment."""
        streams = self.streams
        assert streams.opened() == streams.closed() + streams.reset_count() + streams.live()


def pair(
    client: Configuration | None = None, server: Configuration | None = None
) -> tuple[Side, Side]:
    """A client and a server that know each other's limits."""
    ours = Side(True, client)
    theirs = Side(False, server)
    ours.meet(theirs)
    theirs.meet(ours)
    return ours, theirs


def settle(left: Side, right: Side, size: int = 1200) -> None:
    """Exchange packets without loss until both are silent."""
    while True:
        busy = False
        for sender, receiver in ((left, right), (right, left)):
            for packet in sender.packets(size):
                receiver.receive(packet)
                sender.acked(packet)
                busy = True
            sender.check()
            receiver.check()
        if not busy:
            return


def read_all(side: Side, stream_id: int, limit: int = 65536) -> tuple[bytes, bool]:
    """Everything that can be read now, and whether the stream ended."""
    parts: list[bytes] = []
    while True:
        data, end = side.streams.read(stream_id, limit)
        parts.append(data)
        if end or not data:
            return b"".join(parts), end


def events_of(side: Side, kind: type[Event]) -> list[Event]:
    """The events of one type so far."""
    return [event for event in side.events if type(event) is kind]
