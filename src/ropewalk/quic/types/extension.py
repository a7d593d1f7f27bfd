"""The seam through which frame types outside RFC 9000 enter, forward error correction above all."""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class FrameExtension:
    """A set of frame types that the connection hands on instead of refusing them.

    Frames are carried in 1-RTT packets only. Frame types may be up to 8 bytes long.
    """

    def frame_types(self) -> list[int]:
        """The frame types that belong to this extension."""
        raise NotImplementedError

    def receive(self, path_id: i64, frame_type: i64, payload: bytes, start: i64) -> i64:
        """Parse one frame whose fields begin at ``payload[start]``; return where it ends.

        Raises ``TransportError`` for a malformed frame.
        """
        raise NotImplementedError

    def write(self, path_id: i64, room: i64) -> bytes:
        """Whole frames to put into the packet being assembled, at most ``room`` bytes.

        They make the packet ack-eliciting and are not sent again when it is lost.
        """
        return b""

    def pending(self) -> bool:
        """Whether :meth:`write` would yield something."""
        return False

    def on_assembled(self, path_id: i64, packet_number: i64, payload: bytes) -> None:
        """A 1-RTT payload is about to be sealed (the source symbols of an FEC scheme)."""

    def on_received(self, path_id: i64, packet_number: i64, payload: bytes) -> None:
        """A 1-RTT payload was opened and processed."""

    def take_recovered(self) -> list[bytes]:
        """Payloads rebuilt from repair data. They are processed but never acknowledged."""
        return []
