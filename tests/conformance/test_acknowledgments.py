"""When and how packets are acknowledged (RFC 9000 13.1, 13.2)."""

from __future__ import annotations

from librt.strings import BytesWriter

from ropewalk.quic.recovery.received import ReceivedPackets
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.ack import AckFrame, parse_ack
from ropewalk.quic.wire.frames import PingFrame, StreamFrame
from ropewalk.quic.wire.reader import Reader
from ropewalk.quic.wire.varint import encode_varint
from tests.conformance.wire import Seen, Watched, seal
from tests.connection.pair import Pair

PING = b"\x01\x00\x00\x00"


def quiet() -> Watched:
    """A pair that has nothing left to say."""
    pair = Watched().connect()
    pair.drive(2.0)
    pair.client_watch.sent.clear()
    pair.server_watch.sent.clear()
    return pair


def only_acks(seen: Seen) -> bool:
    return all(isinstance(frame, AckFrame) for frame in seen.frames)


def numbers(packets: list[Seen]) -> set[int]:
    """The packet numbers that the ACK frames name."""
    found: set[int] = set()
    for one in packets:
        for frame in one.frames:
            if isinstance(frame, AckFrame):
                for high, low in zip(frame.ranges[::2], frame.ranges[1::2], strict=True):
                    found.update(range(low, high + 1))
    return found


def test_what_cannot_be_opened_is_not_acknowledged() -> None:
    pair = quiet()
    bad = pair.client.state.path.space.ledger.next_packet_number
    packet = seal(pair.client, PING)
    pair.deliver_to_server(packet[:-1] + bytes([packet[-1] ^ 1]))
    pair.deliver_to_server(seal(pair.client, PING))
    pair.deliver_to_server(seal(pair.client, PING))
    pair.drive(0.1)
    told = numbers(pair.server_watch.sent)
    assert bad + 1 in told
    assert bad + 2 in told
    assert bad not in told


def test_a_frame_that_closes_the_connection_is_not_acknowledged() -> None:
    pair = quiet()
    pair.deliver_to_server(seal(pair.client, PING + b"\x21\x00\x00\x00"))
    pair.drive(1.0)
    assert not pair.server.active
    assert numbers(pair.server_watch.sent) == set()


def test_an_ack_rides_along_with_data() -> None:
    pair = quiet()
    stream = pair.server.open_stream()
    assert stream is not None
    pair.deliver_to_server(seal(pair.client, PING))
    # not due yet, but there is something to send it with
    pair.server.write(stream, b"answer")
    pair.flush()
    (sent,) = pair.server_watch.sent
    assert sent.has(StreamFrame)
    assert sent.has(AckFrame)


def test_a_lone_packet_is_acknowledged_within_max_ack_delay() -> None:
    pair = quiet()
    for _ in range(5):
        pair.server_watch.sent.clear()
        begun = pair.now
        number = pair.client.state.path.space.ledger.next_packet_number
        pair.deliver_to_server(seal(pair.client, PING))
        pair.drive(0.2)
        told = [one for one in pair.server_watch.sent if number in numbers([one])]
        assert told[0].now - begun <= pair.server.state.config.max_ack_delay + 1e-9


def test_a_packet_is_answered_by_one_acknowledgment_at_most() -> None:
    pair = quiet()
    for count in range(1, 20):
        pair.deliver_to_server(seal(pair.client, PING))
        pair.drive(0.1)
        assert sum(1 for one in pair.server_watch.sent if only_acks(one)) <= count
    pair.drive(5.0)
    assert sum(1 for one in pair.server_watch.sent if only_acks(one)) <= 19


def test_acknowledgments_are_not_acknowledged() -> None:
    pair = quiet()
    sent = len(pair.sent_to_client), len(pair.sent_to_server)
    largest = pair.server.state.path.space.largest_acked
    for _ in range(30):
        # with a gap before each
        pair.client.state.path.space.ledger.skip()
        ack = b"\x02" + encode_varint(int(largest)) + b"\x00\x00\x00"
        pair.deliver_to_server(seal(pair.client, ack))
        pair.drive(0.2)
    assert (len(pair.sent_to_client), len(pair.sent_to_server)) == sent


def test_few_acknowledgments_ask_for_one_themselves() -> None:
    pair = quiet()
    for _ in range(200):
        pair.deliver_to_server(seal(pair.client, PING))
        pair.deliver_to_server(seal(pair.client, PING))
        pair.drive(0.001)
    asking = [one for one in pair.server_watch.sent if one.has(PingFrame)]
    assert len(pair.server_watch.sent) >= 150
    assert 0 < len(asking) <= len(pair.server_watch.sent) // 16


def test_the_largest_number_survives_the_acknowledgment_of_its_ack() -> None:
    received = ReceivedPackets(0.025)
    for number in range(70_000, 70_010):
        received.record(number, 0.0, True, 0)
    writer = BytesWriter()
    assert received.write_ack(writer, 1200, 0.0, 3)
    received.on_ack_of_ack(70_009)
    assert received.largest == 70_009
    assert received.is_duplicate(70_009)


def test_a_delay_above_the_maximum_is_told_as_it_was() -> None:
    received = ReceivedPackets(0.025)
    received.record(7, 1.0, True, 0)
    writer = BytesWriter()
    assert received.write_ack(writer, 1200, 1.5, 3)
    data = writer.getvalue()
    frame = AckFrame()
    parse_ack(Reader(data, 1, len(data)), data[0], frame)
    assert float(frame.delay) * 8e-6 == 0.5


def test_a_pair_with_nothing_to_say_is_silent() -> None:
    pair = Pair().connect()
    pair.drive(2.0)
    sent = len(pair.sent_to_client), len(pair.sent_to_server)
    pair.drive(10.0)
    assert (len(pair.sent_to_client), len(pair.sent_to_server)) == sent


def test_every_space_is_acknowledged_within_itself() -> None:
    pair = Watched()
    for _ in range(20):  # so that no number of 1-RTT is one of the handshake
        pair.client.state.path.space.ledger.skip()
    pair.drive(3.0)
    sent = pair.client_watch.sent
    for level in (INITIAL, HANDSHAKE, ONE_RTT):
        asked = {one.number for one in sent if one.level == level and not only_acks(one)}
        told = numbers([one for one in pair.server_watch.sent if one.level == level])
        known = {one.number for one in sent if one.level == level}
        assert asked
        assert asked <= told <= known
        assert (min(known) >= 20) is (level == ONE_RTT)
