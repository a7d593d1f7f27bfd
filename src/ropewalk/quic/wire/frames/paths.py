"""Frames of connection IDs and paths: NEW_CONNECTION_ID, RETIRE_CONNECTION_ID,
PATH_CHALLENGE, PATH_RESPONSE (RFC 9000 19.15 to 19.18)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.wire.frame import Frame, malformed_frame
from ropewalk.quic.wire.frame_types import NEW_CONNECTION_ID
from ropewalk.quic.wire.header import MAX_CID_LENGTH
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.writers import (
    write_new_connection_id,
    write_path_challenge,
    write_path_response,
    write_retire_connection_id,
)

#: Bytes of the data that a PATH_CHALLENGE wants echoed (19.17).
PATH_DATA_LENGTH: Final = 8
#: Bytes of a stateless reset token (10.3).
RESET_TOKEN_LENGTH: Final = 16


@final
@dataclass(frozen=True)
class NewConnectionIdFrame(Frame):
    """One more ID for the peer to address us by (19.15)."""

    sequence_number: int
    retire_prior_to: int
    connection_id: bytes
    stateless_reset_token: bytes

    def write(self, writer: BytesWriter) -> None:
        write_new_connection_id(
            writer,
            self.sequence_number,
            self.retire_prior_to,
            self.connection_id,
            self.stateless_reset_token,
        )


@final
@dataclass(frozen=True)
class RetireConnectionIdFrame(Frame):
    """The peer's ID of this number is used no more (19.16)."""

    sequence_number: int

    def write(self, writer: BytesWriter) -> None:
        write_retire_connection_id(writer, self.sequence_number)


@final
@dataclass(frozen=True)
class PathChallengeFrame(Frame):
    """Eight unpredictable bytes that whoever receives them sends back (19.17)."""

    data: bytes

    def write(self, writer: BytesWriter) -> None:
        write_path_challenge(writer, self.data)


@final
@dataclass(frozen=True)
class PathResponseFrame(Frame):
    """The eight bytes of a PATH_CHALLENGE, sent back (19.18)."""

    data: bytes

    def write(self, writer: BytesWriter) -> None:
        write_path_response(writer, self.data)


def parse_new_connection_id(reader: Reader) -> NewConnectionIdFrame:
    """The fields after the type."""
    sequence_number: i64 = reader.varint()
    retire_prior_to: i64 = reader.varint()
    if retire_prior_to > sequence_number:
        raise malformed_frame(
            NEW_CONNECTION_ID,
            f"connection ID {int(sequence_number)} retires those before "
            f"{int(retire_prior_to)}, and so itself",
        )
    length: i64 = reader.u8()
    if not 1 <= length <= MAX_CID_LENGTH:
        raise malformed_frame(NEW_CONNECTION_ID, f"a connection ID of {int(length)} bytes")
    connection_id = reader.take(length)
    token = reader.take(RESET_TOKEN_LENGTH)
    return NewConnectionIdFrame(sequence_number, retire_prior_to, connection_id, token)
