"""What one of the two handshake encryption levels owns."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.connection.crypto_stream import CryptoReceiver, CryptoSender
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.protection import PacketProtection


@final
class Level:
    """Initial or Handshake: keys, packet-number space and CRYPTO stream.

    Discarded whole when its keys are (RFC 9001 4.9).
    """

    def __init__(self, level: i64) -> None:
        self.level: i64 = level
        self.space = PacketSpace(level, 0)
        self.send: PacketProtection | None = None
        self.receive: PacketProtection | None = None
        self.crypto_in = CryptoReceiver()
        self.crypto_out = CryptoSender()
        #: ack-eliciting packets to send whatever the congestion window says (RFC 9002 6.2.4)
        self.probes: i64 = 0
