"""The bending peers do what a story asks of them, and nothing besides."""

from __future__ import annotations

import pytest

from ropewalk.lab.hostile import BendingClient, BendingServer, Scene, frames, messages, packets
from ropewalk.lab.hostile.parameters import integer, join, repeated, replaced, split, without
from ropewalk.lab.hostile.scene import VICTIM_ADDRESS
from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.frames import parse_frames

ROLES = ("server", "client")


@pytest.mark.parametrize("victim", ROLES)
def test_a_peer_that_bends_nothing_is_an_honest_one(victim: str) -> None:
    scene = Scene(victim)
    scene.connect()
    double = scene.peer.double
    assert double is not None
    stream_id = double.open_stream()
    assert stream_id is not None
    double.write(stream_id, b"hello")
    scene.peer.flush()
    scene.run(0.1)
    assert double.read(stream_id, 100) == (b"hello", False)  # the victim echoes
    assert scene.peer.is_answered()
    assert scene.peer.inbox.closures == []


def test_the_kinds_of_peers_follow_the_victim() -> None:
    assert isinstance(Scene("server").peer, BendingClient)
    assert isinstance(Scene("client").peer, BendingServer)


@pytest.mark.parametrize("victim", ROLES)
def test_a_close_is_seen_with_code_frame_type_reason_and_bytes(victim: str) -> None:
    scene = Scene(victim)
    scene.connect()
    scene.peer.send(frames.max_streams(2**60 + 1))
    closure = scene.peer.expect_close()
    assert (closure.code, closure.frame_type, closure.level) == (0x07, 0x12, ONE_RTT)
    assert "2**60" in closure.reason
    assert closure.data in scene.peer.inbox.datagrams


def test_no_close_is_an_assertion_error() -> None:
    scene = Scene("server")
    scene.connect()
    with pytest.raises(AssertionError, match=r"no CONNECTION_CLOSE came within 0\.2"):
        scene.peer.expect_close(within=0.2)


@pytest.mark.parametrize("victim", ROLES)
def test_withheld_levels_do_not_reach_the_victim(victim: str) -> None:
    scene = Scene(victim)
    scene.reach_handshake_keys()
    scene.run(0.3)
    assert scene.peer.has_keys(HANDSHAKE)
    assert not scene.the_victim().handshake_complete
    scene.release()
    assert scene.clock.run_until(scene.now + 3.0, scene.is_confirmed)


@pytest.mark.parametrize("victim", ROLES)
def test_a_frozen_double_is_silent(victim: str) -> None:
    scene = Scene(victim)
    scene.connect()
    scene.peer.freeze()
    sent = len(scene.peer.sent)
    scene.the_victim().ping(scene.now)
    scene.run(1.0)
    assert len(scene.peer.sent) == sent


@pytest.mark.parametrize("victim", ROLES)
def test_own_packets_and_those_of_the_double_share_their_numbers(victim: str) -> None:
    scene = Scene(victim)
    scene.connect()
    for _ in range(200):
        scene.peer.send(frames.PING)
        scene.run(0.01)
    double = scene.peer.double
    assert double is not None
    assert double.active  # it was not upset by ACKs for packets it never sent
    assert int(scene.the_victim().counters.duplicates) == 0


def test_a_frozen_peer_acknowledges_on_demand() -> None:
    scene = Scene("server")
    scene.connect()
    scene.run(0.1)
    scene.peer.freeze()
    victim = scene.the_victim()
    stream_id = victim.open_stream()
    assert stream_id is not None
    scene.act(lambda: (victim.write(stream_id, bytes(5000)), None)[1])
    scene.run(0.02)
    assert victim.undelivered() == 5000
    scene.peer.acknowledge()
    scene.run(0.02)
    assert victim.undelivered() == 0


def test_every_level_can_be_opened_and_sealed() -> None:
    scene = Scene("server")
    scene.reach_handshake_keys()
    for level in (INITIAL, HANDSHAKE):
        number = scene.peer.next_number(level)
        scene.peer.send(frames.PING, level, packet_number=number)
        scene.run(0.05)
        assert scene.peer.inbox.acknowledged(level, number)


def test_what_arrives_can_be_kept_from_the_double_and_what_leaves_be_changed() -> None:
    scene = Scene("server")
    scene.connect()
    seen: list[bytes] = []
    scene.peer.on_arrival = lambda datagram: bool(seen.append(datagram))
    scene.peer.on_departure = lambda datagram: [datagram, datagram]
    double = scene.peer.double
    assert double is not None
    received = int(double.counters.packets_received)
    assert scene.peer.is_answered()
    assert seen
    assert int(double.counters.packets_received) == received
    double.ping(scene.now)
    scene.peer.flush()
    scene.run(0.05)
    assert int(scene.the_victim().counters.duplicates) == 1


def test_a_peer_that_met_nobody_says_so() -> None:
    peer = Scene("client").peer
    with pytest.raises(ConfigurationError, match="not met"):
        _ = peer.remote
    with pytest.raises(ConfigurationError, match="not met"):
        peer.destination()


# -- bytes


def test_frames_that_are_right_are_read_as_they_were_written() -> None:
    written = [
        frames.ack(9, 2, 1, 3),
        frames.ack_ecn(1, 0, 1, 2, 3),
        frames.reset_stream(4, 5, 6),
        frames.stop_sending(4, 5),
        frames.crypto(7, b"data"),
        frames.new_token(b"token"),
        frames.stream(4, b"data", 9, fin=True),
        frames.max_data(70000),
        frames.max_stream_data(4, 9),
        frames.max_streams(9),
        frames.data_blocked(9),
        frames.stream_data_blocked(4, 9),
        frames.streams_blocked(9, bidirectional=False),
        frames.new_connection_id(3, b"12345678", 2),
        frames.retire_connection_id(3),
        frames.path_challenge(b"12345678"),
        frames.path_response(b"12345678"),
        frames.connection_close(7, 8, b"why"),
        frames.application_close(7, b"why"),
        frames.HANDSHAKE_DONE,
        frames.datagram(b"data"),
    ]
    assert len(parse_frames(b"".join(written))) == len(written)


def test_varints_take_as_many_bytes_as_they_are_told_to() -> None:
    assert frames.varint(37) == b"\x25"
    assert frames.varint(37, 2) == bytes.fromhex("4025")
    assert frames.varint(37, 8) == bytes.fromhex("c000000000000025")
    assert frames.varint(frames.LARGEST) == b"\xff" * 8
    with pytest.raises(ValueError, match="does not fit"):
        frames.varint(frames.LARGEST + 1)


def test_headers_have_every_bit_that_is_asked_for() -> None:
    header = packets.Header(
        level=ONE_RTT,
        destination_cid=b"cid",
        packet_number=0x12345678,
        number_length=2,
        key_phase=1,
        spin=1,
        reserved=0x18,
        fixed_bit=False,
    )
    assert header.encode(0) == bytes([0x3D]) + b"cid" + b"\x56\x78"
    long = packets.Header(
        level=HANDSHAKE, destination_cid=b"to", source_cid=b"from", packet_number=1, length=9
    )
    assert long.encode(100).hex() == "e3" + "00000001" + "02" + b"to".hex() + "04" + (
        b"from".hex() + "4009" + "00000001"
    )


def test_parameters_are_bent_one_by_one() -> None:
    plain = [(1, b"\x05"), (4, b"\x06")]
    assert split(join(plain)) == plain
    assert without(1)(plain) == [(4, b"\x06")]
    assert integer(1, 9)(plain) == [(4, b"\x06"), (1, b"\x09")]
    assert replaced(9, b"x")(plain) == [*plain, (9, b"x")]
    assert repeated(4)(plain) == [*plain, (4, b"\x06")]


def test_messages_are_bent_one_by_one() -> None:
    scene = Scene("server")
    scene.client.prepare(VICTIM_ADDRESS)
    hello = scene.client.client_hello()
    assert messages.split(hello * 2) == [hello, hello]
    same = messages.with_extensions(tls.CLIENT_HELLO, lambda extensions: extensions)
    assert same(INITIAL, [hello]) == [hello]
    shorter = messages.without_extension(tls.CLIENT_HELLO, tls.ALPN)(INITIAL, [hello])[0]
    assert len(shorter) < len(hello)
    assert messages.split(shorter) == [shorter]
    with_id = messages.with_session_id(tls.CLIENT_HELLO, b"12345678")(INITIAL, [hello])[0]
    assert len(with_id) == len(hello) + 8
    assert messages.split(with_id) == [with_id]
    before = messages.inserted_before(tls.CLIENT_HELLO, b"\x00\x00\x00\x00")
    assert before(INITIAL, [hello]) == [b"\x00\x00\x00\x00", hello]
    with pytest.raises(ValueError, match="no extensions"):
        messages.with_extension(tls.FINISHED, 1, b"")(INITIAL, [messages.message(20, b"x")])
