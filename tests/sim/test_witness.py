"""The witness's books: what it accepts, and each law that it must see broken."""

import os
import time
from types import SimpleNamespace

import pytest
from librt.strings import BytesWriter

from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.handshake import INITIAL, ONE_RTT
from ropewalk.quic.wire import writers
from ropewalk.quic.wire.ack import write_ack
from ropewalk.sim.oracles import Violation
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
        self.in_flight = 0
        connection = SimpleNamespace(
            closed=False,
            close_error=None,
            handshake_confirmed=True,
            path_stats=lambda: [SimpleNamespace(bytes_in_flight=self.in_flight)],
        )
        self.host = SimpleNamespace(now=1.0)
        self.witness.watch(self.host, connection)

    def send(self, payload, number=None, level=ONE_RTT):
        self.number = self.number + 1 if number is None else number
        self.witness.packet_sent(1.0, level, 0, self.number, 100, payload)

    def receive(self, payload, number=0, level=ONE_RTT):
        self.witness.packet_received(1.0, level, 0, number, 100, payload)

    def audit(self):
        self.witness.oracle.after_step(self.host)

    def test_sent_is_acknowledged_and_lost_and_in_flight(self):
        for _ in range(10):
            self.send(PING)
        self.receive(ack(4, 2))
        self.witness.packets_lost(1.0, ONE_RTT, 0, [0, 1])
        self.in_flight = 500
        self.audit()
        self.in_flight = 400
        with pytest.raises(Violation, match=r"counts 400 bytes in flight.* 3 are ack.* 2 lost"):
            self.audit()

    def test_acks_and_closes_are_not_in_flight(self):
        self.receive(PING, 7)
        self.send(ack(7, 7))
        self.send(frame(writers.write_connection_close, 0, 0, b"", True))
        self.audit()

    def test_levels_have_books_of_their_own(self):
        self.send(PING, 5, INITIAL)
        self.send(PING, 0, ONE_RTT)
        self.in_flight = 100
        self.audit()

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
        with pytest.raises(Violation, match="packet 8 is acknowledged but never came"):
            self.send(ack(9, 8))

    def test_the_peer_acknowledges_only_what_was_sent(self):
        self.send(PING)
        with pytest.raises(Violation, match="acknowledges packet 1"):
            self.receive(ack(1, 0))

    def test_a_packet_is_lost_once_and_not_after_its_ack(self):
        self.send(PING)
        self.witness.packets_lost(1.0, ONE_RTT, 0, [0])
        with pytest.raises(Violation, match="packet 0 is declared lost"):
            self.witness.packets_lost(1.0, ONE_RTT, 0, [0])

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
        with pytest.raises(Violation, match="unreadable"):
            self.receive(b"\x3f")
