"""Authentic packets with any payload, at every level, to either side."""

from __future__ import annotations

from contextlib import suppress

from librt.strings import BytesWriter

from fuzz.duo import Duo
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import StreamError, TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.frames import parse_frames
from tests.connection.pair import forge

#: The first byte chooses; seeds are payloads and get this one: 1-RTT, to the server.
SEED_PREFIX = b"\x00"
_LEVELS = (ONE_RTT, ONE_RTT, INITIAL, HANDSHAKE)
_LARGEST_PAYLOAD = 1150


def fuzz_frames(data: bytes) -> None:
    """The first byte: level, receiver, what went before. The rest: one payload, or two that
    the byte's highest bit halves."""
    if len(data) < 2:
        return
    choice, payload = data[0], data[1:]
    check_round_trip(payload)
    level = _LEVELS[choice & 3]
    duo = Duo()
    if level == ONE_RTT:
        duo.connect()
        if choice & 8:
            _use(duo)
    else:
        # Far enough for the keys of the level, not for confirmation.
        duo.exchange(1)
    to_server = not choice & 4
    sender, receiver = (duo.client, duo.server) if to_server else (duo.server, duo.client)
    half = len(payload) // 2 if choice & 0x80 else len(payload)
    for piece in (payload[:half], payload[half:]):
        if piece:
            _inject(duo, sender, receiver, piece[:_LARGEST_PAYLOAD], level)
    duo.exchange(3)
    duo.check()


def _use(duo: Duo) -> None:
    """Streams of each kind in several states, datagrams on their way."""
    for connection in (duo.client, duo.server):
        for bidirectional in (True, False):
            stream_id = connection.open_stream(bidirectional)
            assert stream_id is not None
            connection.write(stream_id, bytes(3000))
        connection.reset(stream_id, 1)
        connection.send_datagrams([b"datagram"])
    duo.exchange(1)
    duo.server.stop(0, 2)
    duo.client.finish(0)
    duo.client.update_keys(duo.now)


def _inject(duo: Duo, sender: Connection, receiver: Connection, payload: bytes, level: int) -> None:
    if not (sender.active and receiver.active):
        return
    state = sender.state
    owner = state.initial if level == INITIAL else state.handshake_level
    if level != ONE_RTT and (owner is None or owner.send is None):
        return
    duo.deliver(receiver, forge(sender, payload, level))
    for stream_id in (0, 1, 2, 3):
        with suppress(StreamError):
            receiver.read(stream_id, 1 << 20)
    receiver.receive_datagrams(100)
    receiver.events()


def check_round_trip(payload: bytes) -> None:
    """What parses is written again and parses to the same."""
    try:
        frames = parse_frames(payload)
    except TransportError as error:
        assert error.reason
        return
    writer = BytesWriter()
    for frame in frames:
        frame.write(writer)
    assert parse_frames(writer.getvalue()) == frames
