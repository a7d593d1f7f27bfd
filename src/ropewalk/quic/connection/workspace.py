"""Buffers that serve one packet or burst at a time, so all connections of an endpoint share
them: an idle connection holds none of its own."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter

from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.unmask import ShortHeaderBatch
from ropewalk.quic.wire.ack import AckFrame
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.stream_header import StreamHeader


@final
class Workspace:
    """Empty between calls: nobody may expect to find what was left here."""

    def __init__(self) -> None:
        #: the payload being assembled
        self.payload = BytesWriter()
        #: the burst being sealed
        self.burst = BurstWriter()
        #: the short headers being unmasked
        self.batch = ShortHeaderBatch()
        #: the cursor over the payload being parsed, and the frame read last
        self.reader = Reader(b"")
        self.ack = AckFrame()
        self.stream_header = StreamHeader()
