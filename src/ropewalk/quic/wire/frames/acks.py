"""ACK_FREQUENCY and IMMEDIATE_ACK (draft-ietf-quic-ack-frequency-14). ACK itself is read in
place, see :mod:`ropewalk.quic.wire.ack`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from librt.strings import BytesWriter

from ropewalk.quic.wire.frame import Frame
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.writers import write_ack_frequency, write_immediate_ack


@final
@dataclass(frozen=True)
class AckFrequencyFrame(Frame):
    """Asks the peer to acknowledge when more than ``ack_eliciting_threshold`` packets wait,
    or after ``max_ack_delay_us`` microseconds; ``reordering_threshold`` packets out of order
    call for an ACK at once (0: never)."""

    sequence_number: int
    ack_eliciting_threshold: int
    max_ack_delay_us: int
    reordering_threshold: int

    def write(self, writer: BytesWriter) -> None:
        write_ack_frequency(
            writer,
            self.sequence_number,
            self.ack_eliciting_threshold,
            self.max_ack_delay_us,
            self.reordering_threshold,
        )


@final
@dataclass(frozen=True)
class ImmediateAckFrame(Frame):
    """Asks for an acknowledgment at once."""

    def write(self, writer: BytesWriter) -> None:
        write_immediate_ack(writer)


def parse_ack_frequency(reader: Reader) -> AckFrequencyFrame:
    """The fields of ACK_FREQUENCY. Raises ``Truncated``."""
    sequence = reader.varint()
    threshold = reader.varint()
    delay = reader.varint()
    return AckFrequencyFrame(sequence, threshold, delay, reader.varint())
