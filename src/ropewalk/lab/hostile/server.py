"""A server that bends the rules."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.lab.hostile import packets
from ropewalk.lab.hostile.peer import BendingPeer
from ropewalk.quic.wire.header import PACKET_INITIAL, LongHeader, parse_long_header
from ropewalk.sim.batching import Received


class BendingServer(BendingPeer):
    """Waits for a client at its address and then does as it is told.

    ``on_knock`` decides about the first Initial packets: True begins the handshake, False
    leaves the client waiting (the story may have answered with a Retry or otherwise).
    """

    on_knock: Callable[[LongHeader], bool] | None = None
    #: the first Initial packet that came, once one has
    first: LongHeader | None = None
    #: the last one before the handshake began
    knock: LongHeader | None = None
    _retry_source: bytes | None = None

    def on_first(self, received: Received) -> None:
        """A client knocks."""
        header = parse_long_header(received.data, 0, len(received.data))
        if header is None or header.packet_type != PACKET_INITIAL:
            return
        self._remote = received.remote
        self.knock = header
        if self.first is None:
            self.first = header
        if self.on_knock is None or self.on_knock(header):
            self.accept()

    def accept(self) -> None:
        """Begin the handshake with the client that knocked last."""
        assert self.first is not None
        assert self.knock is not None
        retried = self._retry_source == self.knock.destination_cid
        self.begin(
            self.remote,
            self.knock.source_cid,
            self.first.destination_cid if retried else self.knock.destination_cid,
            self._retry_source if retried else None,
        )

    def send_retry(
        self,
        token: bytes,
        source_cid: bytes,
        *,
        original: bytes | None = None,
        unused_bits: int = 0,
    ) -> bytes:
        """Answer the client's first Initial packet with a Retry; returns the packet.

        ``original`` is what the integrity tag is made for; by default the right one.
        """
        assert self.first is not None
        self._retry_source = source_cid
        right = self.first.destination_cid
        packet = packets.retry(
            self.first.source_cid,
            source_cid,
            token,
            right if original is None else original,
            unused_bits=unused_bits,
        )
        self.send_datagram(packet)
        return packet

    def send_version_negotiation(self, versions: list[int], *, first: int = 0xC0) -> None:
        """Answer the client's first Initial packet with a Version Negotiation."""
        assert self.first is not None
        self.send_datagram(
            packets.version_negotiation(
                self.first.source_cid, self.first.destination_cid, versions, first=first
            )
        )
