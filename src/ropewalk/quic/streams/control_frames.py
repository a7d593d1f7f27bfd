"""Frames about streams that carry no stream data: credit, limits, resets, stops, blocked."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.recovery.sent_packet import (
    TOKEN_DATA_BLOCKED,
    TOKEN_MAX_DATA,
    TOKEN_MAX_STREAM_DATA,
    TOKEN_MAX_STREAMS,
    TOKEN_RESET_STREAM,
    TOKEN_STOP_SENDING,
    TOKEN_STREAM_DATA_BLOCKED,
    TOKEN_STREAMS_BLOCKED,
    SentPacket,
)
from ropewalk.quic.streams.flow_control import ReceiveWindow, SendCredit
from ropewalk.quic.streams.limits import LocalStreams, RemoteStreams
from ropewalk.quic.streams.receive_stream import RECV, ReceiveStream
from ropewalk.quic.streams.send_stream import RESET_SENT, SEND, SendStream
from ropewalk.quic.types.watch import Watch
from ropewalk.quic.wire.writers import (
    write_data_blocked,
    write_max_data,
    write_max_stream_data,
    write_max_streams,
    write_reset_stream,
    write_stop_sending,
    write_stream_data_blocked,
    write_streams_blocked,
)

#: No frame written here is longer (RESET_STREAM with three 8-byte integers).
_LARGEST_FRAME: Final = 25


@final
class ControlFrames:
    """Knows which control frames are due and writes them with their newest values.

    A part of a stream is in one of the two lists at most once, and every visit takes it out
    unless the packet is full, so the lists are bounded by the stream limits.
    """

    def __init__(
        self,
        window: ReceiveWindow,
        credit: SendCredit,
        local: list[LocalStreams],
        remote: list[RemoteStreams],
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._window = window
        self._credit = credit
        self._local = local
        self._remote = remote
        self._sending: list[SendStream] = []
        self._receiving: list[ReceiveStream] = []
        #: one of the stream limits has something to say
        self.limits_due = False

    def pending(self) -> bool:
        """Whether :meth:`write` would write anything."""
        if self._window.due or self._credit.blocked_due:
            return True
        if self.limits_due:
            if self._some_limit_due():
                return True
            self.limits_due = False
        # What became pointless meanwhile leaves the lists here.
        while self._sending:
            sending = self._sending[-1]
            if sending.reset_due or sending.blocked_due:
                return True
            sending.control_queued = False
            self._sending.pop()
        while self._receiving:
            receiving = self._receiving[-1]
            if receiving.stop_due or receiving.credit_due():
                return True
            receiving.control_queued = False
            self._receiving.pop()
        return False

    def _some_limit_due(self) -> bool:
        due = False
        for remote in self._remote:
            due = due or remote.due
        for local in self._local:
            due = due or local.blocked_due
        return due

    def queue_sending(self, stream: SendStream) -> None:
        """A RESET_STREAM or STREAM_DATA_BLOCKED is due."""
        if not stream.control_queued:
            stream.control_queued = True
            self._sending.append(stream)

    def queue_receiving(self, stream: ReceiveStream) -> None:
        """A STOP_SENDING or MAX_STREAM_DATA is due."""
        if not stream.control_queued:
            stream.control_queued = True
            self._receiving.append(stream)

    def write(self, writer: BytesWriter, room: i64, slot: SentPacket) -> None:
        """Write what is due, until the writer's length reaches ``room``."""
        limit: i64 = room - _LARGEST_FRAME
        if self._window.due and len(writer) <= limit:
            value: i64 = self._window.take_update()
            write_max_data(writer, value)
            slot.add_token(TOKEN_MAX_DATA, value)
        if self.limits_due:
            self._write_limits(writer, limit, slot)
        if self._sending:
            self._write_sending(writer, limit, slot)
        if self._receiving:
            self._write_receiving(writer, limit, slot)
        credit = self._credit
        if credit.blocked_due and len(writer) <= limit:
            credit.blocked_due = False
            write_data_blocked(writer, credit.limit)
            slot.add_token(TOKEN_DATA_BLOCKED, credit.limit)
            self._tell_blocked(-1, credit.limit, "connection")

    def _write_limits(self, writer: BytesWriter, limit: i64, slot: SentPacket) -> None:
        for remote in self._remote:
            if remote.due:
                if len(writer) > limit:
                    return
                value: i64 = remote.take_update()
                write_max_streams(writer, value, remote.bidirectional)
                slot.add_token(TOKEN_MAX_STREAMS, 1 if remote.bidirectional else 0, value)
        for local in self._local:
            if local.blocked_due:
                if len(writer) > limit:
                    return
                local.blocked_due = False
                write_streams_blocked(writer, local.limit, local.bidirectional)
                slot.add_token(TOKEN_STREAMS_BLOCKED, 1 if local.bidirectional else 0, local.limit)
                self._tell_blocked(-1, local.limit, "stream_limit")
        self.limits_due = False

    def _write_sending(self, writer: BytesWriter, limit: i64, slot: SentPacket) -> None:
        done: i64 = 0
        for stream in self._sending:
            if len(writer) > limit:
                break
            done += 1
            stream.control_queued = False
            stream_id: i64 = stream.stream_id
            if stream.reset_due:
                stream.reset_due = False
                write_reset_stream(writer, stream_id, stream.reset_code, stream.final_size)
                slot.add_token(TOKEN_RESET_STREAM, stream_id)
            elif stream.blocked_due:
                stream.blocked_due = False
                write_stream_data_blocked(writer, stream_id, stream.max_data)
                slot.add_token(TOKEN_STREAM_DATA_BLOCKED, stream_id, stream.max_data)
                self._tell_blocked(stream_id, stream.max_data, "stream")
        del self._sending[:done]

    def _write_receiving(self, writer: BytesWriter, limit: i64, slot: SentPacket) -> None:
        done: i64 = 0
        for stream in self._receiving:
            if len(writer) > limit:
                break
            done += 1
            stream.control_queued = False
            if stream.stop_due:
                stream.stop_due = False
                write_stop_sending(writer, stream.stream_id, stream.stop_code)
                slot.add_token(TOKEN_STOP_SENDING, stream.stream_id)
            elif stream.credit_due():
                value: i64 = stream.window.take_update()
                write_max_stream_data(writer, stream.stream_id, value)
                slot.add_token(TOKEN_MAX_STREAM_DATA, stream.stream_id, value)
        del self._receiving[:done]

    def _tell_blocked(self, stream_id: i64, limit: i64, kind: str) -> None:
        watch = self._watch
        if watch is not None:
            watch.observer.blocked(watch.now, stream_id, limit, kind)

    # -- lost frames: sent again only while they still say something (RFC 9000 13.3)

    def on_max_data_lost(self, value: i64) -> None:
        """A MAX_DATA was lost."""
        if value == self._window.limit:
            self._window.due = True

    def on_max_streams_lost(self, bidirectional: bool, value: i64) -> None:
        """A MAX_STREAMS was lost."""
        for remote in self._remote:
            if remote.bidirectional == bidirectional and remote.limit == value:
                remote.due = True
                self.limits_due = True

    def on_data_blocked_lost(self, limit: i64) -> None:
        """A DATA_BLOCKED was lost."""
        credit = self._credit
        if limit == credit.limit and credit.left() <= 0:
            credit.blocked_due = True

    def on_streams_blocked_lost(self, bidirectional: bool, limit: i64) -> None:
        """A STREAMS_BLOCKED was lost."""
        for local in self._local:
            if local.bidirectional == bidirectional and local.refused and local.limit == limit:
                local.blocked_due = True
                self.limits_due = True

    def on_reset_lost(self, stream: SendStream) -> None:
        """A RESET_STREAM was lost."""
        if stream.state == RESET_SENT:
            stream.reset_due = True
            self.queue_sending(stream)

    def on_stream_data_blocked_lost(self, stream: SendStream, limit: i64) -> None:
        """A STREAM_DATA_BLOCKED was lost."""
        if stream.state <= SEND and stream.max_data == limit and stream.is_blocked():
            stream.blocked_due = True
            self.queue_sending(stream)

    def on_stop_lost(self, stream: ReceiveStream) -> None:
        """A STOP_SENDING was lost."""
        if stream.state == RECV:
            stream.stop_due = True
            self.queue_receiving(stream)

    def on_max_stream_data_lost(self, stream: ReceiveStream, value: i64) -> None:
        """A MAX_STREAM_DATA was lost."""
        if value == stream.window.limit:
            stream.window.due = True
            if stream.credit_due():
                self.queue_receiving(stream)
