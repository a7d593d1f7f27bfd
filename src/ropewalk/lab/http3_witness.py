"""Watches one end of an HTTP/3 connection: the laws ``inv.h3.…``."""

from __future__ import annotations

from typing import Final, final

from ropewalk.http3.errors import Http3Error
from ropewalk.http3.frames import (
    DATA,
    GOAWAY,
    SETTINGS,
    FrameReader,
    decode_id,
    encode_frame,
    encode_id_frame,
    frame_name,
)
from ropewalk.http3.settings import decode_settings, encode_settings
from ropewalk.observe.observer import Observer
from ropewalk.sim.invariants import Violation

_CONTROL: Final = 0x00
#: A stream of a message, in the order in which its frames come.
_START: Final = "nothing"
_HEAD: Final = "HEADERS"
_BODY: Final = "DATA"
_TRAILERS: Final = "trailers"


@final
class Http3Witness(Observer):
    """The observer of one HTTP/3 connection, as http3 tells of its frames.

    What this end sends must be right. What it receives may be anything: then the law is
    that :meth:`finish` finds the connection closed.
    """

    def __init__(self, name: str, is_client: bool) -> None:
        super().__init__()
        self.name = name
        self._is_client = is_client
        #: control streams by whether the peer opened them
        self._control: dict[bool, int] = {}
        self._first: dict[int, bool] = {}
        #: how far each message is, by stream and whether this end sends it
        self._messages: dict[tuple[int, bool], str] = {}
        self._informational: dict[tuple[int, bool], bool] = {}
        self._goaway_sent = -1
        #: what the peer did that must end the connection
        self._offence = ""
        self._offended_at = 0.0

    def finish(self, closed: bool) -> None:
        """The run is over; ``closed`` tells whether the connection is closing or closed."""
        if self._offence and not closed:
            self._broken(
                "inv.h3.settings_before_other_frames",
                self._offended_at,
                f"{self._offence}, and the connection goes on",
            )

    # -- hooks

    def http3_stream_type(
        self, now: float, from_peer: bool, stream_id: int, stream_type: int
    ) -> None:
        if stream_type != _CONTROL:
            return
        if from_peer in self._control:
            self._offend(now, from_peer, "a second control stream was opened")
        self._control[from_peer] = stream_id

    def http3_frame(
        self,
        now: float,
        sending: bool,
        stream_id: int,
        frame_type: int,
        length: int,
        payload: bytes,
    ) -> None:
        if self._control.get(not sending) == stream_id:
            self._on_control_frame(now, sending, stream_id, frame_type)
            if payload:
                self._check_round_trip(now, frame_type, payload)
                if frame_type == GOAWAY and sending and not self._is_client:
                    self._goaway_sent = decode_id(GOAWAY, payload)
        elif frame_type == DATA:
            self._on_data(now, sending, stream_id)

    def http3_headers(
        self,
        now: float,
        sending: bool,
        stream_id: int,
        length: int,
        fields: list[tuple[bytes, bytes]],
    ) -> None:
        key = (stream_id, sending)
        state = self._messages.get(key, _START)
        informational = any(name == b":status" and value[:1] == b"1" for name, value in fields)
        if state == _TRAILERS:
            self._out_of_order(now, sending, stream_id, "HEADERS after the trailers")
        elif informational or (state == _HEAD and self._informational.get(key, False)):
            self._messages[key] = _HEAD
        else:
            self._messages[key] = _HEAD if state == _START else _TRAILERS
        self._informational[key] = informational
        if sending and not self._is_client and 0 <= self._goaway_sent <= stream_id:
            self._broken(
                "inv.h3.goaway_rejects_above_threshold",
                now,
                f"a response on stream {stream_id}, though GOAWAY said {self._goaway_sent}",
            )

    # -- laws

    def _on_control_frame(self, now: float, sending: bool, stream_id: int, frame_type: int) -> None:
        first = not self._first.get(stream_id, False)
        self._first[stream_id] = True
        if first and frame_type != SETTINGS:
            self._offend(now, not sending, f"{frame_name(frame_type)} came before SETTINGS")
        elif not first and frame_type == SETTINGS:
            self._offend(now, not sending, "SETTINGS came twice")

    def _on_data(self, now: float, sending: bool, stream_id: int) -> None:
        key = (stream_id, sending)
        state = self._messages.get(key, _START)
        if state not in (_HEAD, _BODY) or self._informational.get(key, False):
            self._out_of_order(now, sending, stream_id, f"DATA after {state}")
        else:
            self._messages[key] = _BODY

    def _out_of_order(self, now: float, sending: bool, stream_id: int, what: str) -> None:
        if sending:
            self._broken(
                "inv.h3.request_state_machine_valid", now, f"stream {stream_id}: {what} was sent"
            )

    def _check_round_trip(self, now: float, frame_type: int, payload: bytes) -> None:
        try:
            again = self._written_again(frame_type, payload)
        except Http3Error:
            return  # not a frame that anybody may read; its reader says so
        if again != payload:
            self._broken(
                "inv.h3.frame_roundtrip_identity",
                now,
                f"{frame_name(frame_type)} {payload.hex()} read and written is {again.hex()}",
            )

    def _written_again(self, frame_type: int, payload: bytes) -> bytes:
        if frame_type == SETTINGS:
            settings = decode_settings(payload)
            same = decode_settings(encode_settings(settings)) == settings
            return payload if same else encode_settings(settings)
        frame = encode_frame(frame_type, payload)
        if frame_type == GOAWAY:
            identifier = decode_id(frame_type, payload)
            same = decode_id(frame_type, encode_id_frame(frame_type, identifier)[2:]) == identifier
            if not same:
                return encode_id_frame(frame_type, identifier)
        reader = FrameReader()
        reader.feed(frame)
        reader.read_header()
        return reader.take(1 << 62)

    def _offend(self, now: float, by_peer: bool, what: str) -> None:
        if not by_peer:
            self._broken("inv.h3.settings_before_other_frames", now, what)
        if not self._offence:
            self._offence = what
            self._offended_at = now

    def _broken(self, invariant_id: str, now: float, what: str) -> None:
        raise Violation(invariant_id, self.name, now, what)
