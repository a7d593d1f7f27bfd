"""What all frames share: a way onto the wire, and what to say of a malformed one."""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.types.error_codes import FRAME_ENCODING_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frame_types import frame_name


class Frame:
    """One frame (RFC 9000 12.4), as a value."""

    def write(self, writer: BytesWriter) -> None:
        """Append the whole frame, type included.

        Raises ``ValueError`` when a field does not fit into its variable-length integer.
        """
        raise NotImplementedError


def malformed_frame(frame_type: i64, reason: str) -> TransportError:
    """The error for a frame that breaks a rule of its format."""
    return TransportError(FRAME_ENCODING_ERROR, reason, int(frame_type))


def truncated_frame(frame_type: i64) -> TransportError:
    """The error for a frame whose fields run past the end of its packet."""
    return malformed_frame(frame_type, f"the {frame_name(frame_type)} frame is cut short")
