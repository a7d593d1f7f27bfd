"""The witness's books: what it accepts, and each law that it must see broken."""

import os
import random
import time

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.handshake import INITIAL, ONE_RTT
from ropewalk.quic.wire import writers
from ropewalk.quic.wire.ack import write_ack
from ropewalk.sim.books import NumberSet, SpaceBooks
from ropewalk.sim.invariants import Violation
from ropewalk.sim.witness import Witness

PEER = Configuration(
    entropy=os.urandom,
    wall_clock=time.time,
    alpn=("test",),
    stream_window=1000,
    connection_window=1500,
    max_bidirectional_streams=3,
    max_unidirectional_streams=0,
)
PING = b"\x01"


def ack(high, low):
    writer = BytesWriter()
    write_ack(writer, [high], [low], 0, 100, -1, -1, -1)
    return writer.getvalue()


def stream(stream_id, offset, size, fin=False):
    writer = BytesWriter()
    writers.write_stream_header(writer, stream_id, offset, size, fin)
    writer.write(bytes(size))
    return writer.getvalue()


def frame(write, *values):
    writer = BytesWriter()
    write(writer, *values)
    return writer.getvalue()


class TestWitness:
    def setup_method(self):
        self.witness = Witness("client", True, PEER)
        self.number = -1

    def send(self, payload, number=None, level=ONE_RTT):
        self.number = self.number + 1 if number is None else number
        self.witness.packet_sent(1.0, level, 0, self.number, 100, payload)

    def lose(self, number):
        self.witness.packets_lost(1.0, ONE_RTT, 0, [number], "reordering_threshold")

    def receive(self, payload, number=0, level=ONE_RTT):
        self.witness.packet_received(1.0, level, 0, number, 100, payload)

    def test_levels_have_numbers_of_their_own(self):
        self.send(PING, 5, INITIAL)
        self.send(PING, 0, ONE_RTT)

    @pytest.mark.parametrize("number", [3, 2])
    def test_packet_numbers_must_rise(self, number):
        self.send(PING, 3)
        with pytest.raises(Violation, match=f"packet {number} was sent after 3"):
            self.send(PING, number)

    def test_a_packet_is_processed_once(self):
        self.receive(PING, 9)
        with pytest.raises(Violation, match="processed twice"):
            self.receive(PING, 9)

    def test_only_received_packets_are_acknowledged(self):
        self.receive(PING, 9)
        with pytest.raises(Violation, match="packets 8 to 9 are acknowledged, but some"):
            self.send(ack(9, 8))

    def test_the_peer_acknowledges_only_what_was_sent(self):
        self.send(PING)
        with pytest.raises(Violation, match="acknowledges packet 1"):
            self.receive(ack(1, 0))

    def test_a_packet_is_lost_once_and_not_after_its_ack(self):
        for _ in range(4):
            self.send(PING)
        self.receive(ack(3, 3))
        self.lose(0)
        with pytest.raises(Violation, match="packet 0 is declared lost, but it is not in flight"):
            self.lose(0)
        with pytest.raises(Violation, match="packet 3 is declared lost, but it is not in flight"):
            self.lose(3)

    def test_a_packet_is_not_lost_before_three_later_ones_or_enough_time(self):
        for _ in range(3):
            self.send(PING)
        self.receive(ack(2, 2))
        with pytest.raises(Violation, match="2 is the largest acknowledged"):
            self.lose(0)

    def test_what_a_retry_makes_void_is_neither_lost_nor_in_flight(self):
        self.send(PING, 0, INITIAL)
        self.witness.packets_lost(1.0, INITIAL, 0, [0], "retry")
        with pytest.raises(Violation, match="not in flight"):
            self.witness.packets_lost(1.0, INITIAL, 0, [0], "retry")

    def test_the_stream_window_binds_until_the_peer_raises_it(self):
        self.send(stream(0, 0, 1000))
        self.receive(frame(writers.write_max_stream_data, 0, 1200), 0)
        self.send(stream(0, 1000, 200))
        with pytest.raises(Violation, match="stream 0 reaches 1201, its limit is 1200"):
            self.send(stream(0, 1200, 1))

    def test_the_connection_window_binds_over_all_streams(self):
        self.send(stream(0, 0, 1000))
        self.send(stream(4, 0, 500))
        self.send(stream(0, 0, 1000))  # sent again: no new credit
        with pytest.raises(Violation, match="1501 bytes on all streams, the limit is 1500"):
            self.send(stream(8, 0, 1))

    def test_a_stream_leaves_no_gap(self):
        self.send(stream(0, 0, 10))
        with pytest.raises(Violation, match="jumps from 10 to 11"):
            self.send(stream(0, 11, 5))

    def test_a_stream_ends_once(self):
        self.send(stream(0, 0, 10, fin=True))
        self.send(stream(0, 5, 5, fin=True))
        with pytest.raises(Violation, match="goes on behind its end 10"):
            self.send(stream(0, 5, 6))

    def test_a_reset_tells_what_was_sent(self):
        self.send(stream(0, 0, 10))
        with pytest.raises(Violation, match="reset at 11, not 10"):
            self.send(frame(writers.write_reset_stream, 0, 1, 11))

    def test_streams_stay_below_the_limit_on_their_number(self):
        self.send(stream(8, 0, 1))
        self.send(stream(1 + 4 * 500, 0, 1))  # the peer's own
        with pytest.raises(Violation, match="stream 12 is number 4 of 3"):
            self.send(stream(12, 0, 1))
        with pytest.raises(Violation, match="stream 2 is number 1 of 0"):
            self.send(stream(2, 0, 1))
        self.receive(frame(writers.write_max_streams, 4, True), 0)
        self.send(stream(12, 0, 1))

    def test_announced_limits_never_shrink(self):
        self.send(frame(writers.write_max_data, 5000))
        with pytest.raises(Violation, match="shrinks from 5000 to 4999"):
            self.send(frame(writers.write_max_data, 4999))

    def test_a_packet_has_frames_that_can_be_read(self):
        with pytest.raises(Violation, match="no frames"):
            self.send(b"")
        with pytest.raises(Violation, match="a payload that was received"):
            self.receive(b"\x3f")


def test_a_set_of_numbers_knows_what_was_added_in_any_order():
    source = random.Random(4)
    numbers = NumberSet()
    known = {}
    for _ in range(2000):
        number = source.randrange(600)
        assert numbers.add(number) == (number not in known)
        known[number] = True
    for low in range(0, 600, 7):
        for high in (low, low + 3):
            assert numbers.covers(low, high) == all(one in known for one in range(low, high + 1))


def test_news_of_an_ack_are_what_the_one_before_did_not_cover():
    source = random.Random(5)
    books = SpaceBooks()
    before = set()
    for _ in range(300):
        now = {number for number in range(40) if source.random() < 0.6}
        found = books.news(bounds(now))
        news = [
            number
            for at in range(0, len(found), 2)
            for number in range(found[at + 1], found[at] + 1)
        ]
        assert sorted(news) == sorted(now - before)
        before = now


def bounds(numbers):
    """The ranges of a set of numbers, as an ACK frame lists them: high, low, high, low …"""
    found = []
    for number in sorted(numbers, reverse=True):
        if found and found[-1] == number + 1:
            found[-1] = number
        else:
            found += [number, number]
    return found
