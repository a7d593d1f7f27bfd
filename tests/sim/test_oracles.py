"""Each oracle stays quiet about what is right and speaks up about what is wrong."""

import math
from types import SimpleNamespace

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.events import ConnectionClosed, ConnectionClosing
from ropewalk.sim import oracles
from ropewalk.sim.oracles import Violation

CLIENT, SERVER = Address("192.0.2.1", 50000), Address("192.0.2.2", 443)
#: An Initial of 1,200 bytes (header fields real, payload zeros), and a Handshake packet.
INITIAL = bytes.fromhex("c000000001088394c8f03e51570800004492").ljust(1200, b"\x00")
HANDSHAKE = bytes.fromhex("e000000001088394c8f03e5157080040aa").ljust(187, b"\x00")


def fake_host(**named):
    known = {"name": "server", "now": 1.0, "accepts": True, "connections": [], "endpoint": None}
    return SimpleNamespace(**{**known, **named})


def fake_stats(**named):
    known = {
        "path_id": 0,
        "bytes_in_flight": 0,
        "congestion_window": 12000,
        "max_datagram_size": 1200,
        "smoothed_rtt": 0.1,
        "packets_sent": 1,
        "packets_received": 1,
        "packets_lost": 0,
        "bytes_sent": 1200,
        "bytes_received": 1200,
    }
    return SimpleNamespace(**{**known, **named})


class FakeConnection:
    def __init__(self, stats=None):
        self.stats = stats or fake_stats()
        self.closed = False
        self.close_error = None
        self.second_close_tells = []

    def path_stats(self):
        return [self.stats]

    def close(self, code, reason, now):
        pass

    def events(self):
        return self.second_close_tells


def test_a_payload_above_the_cap_is_told():
    oracle = oracles.PayloadCap(1200)
    oracle.on_send(fake_host(), bytes(1200), 0, CLIENT)
    with pytest.raises(Violation, match="1201 bytes, the cap is 1200"):
        oracle.on_send(fake_host(), bytes(1201), 0, CLIENT)


def test_a_server_may_send_three_times_what_came_and_not_a_byte_more():
    oracle = oracles.Amplification()
    host = fake_host()
    oracle.on_receive(host, INITIAL, 0, CLIENT)
    for _ in range(3):
        oracle.on_send(host, bytes(1200), 0, CLIENT)
    assert oracle.largest_ratio == 3.0
    with pytest.raises(Violation, match="3601 bytes to"):
        oracle.on_send(host, bytes(1), 0, CLIENT)


def test_an_address_that_nothing_came_from_gets_nothing():
    oracle = oracles.Amplification()
    oracle.on_receive(fake_host(), INITIAL, 0, CLIENT)
    with pytest.raises(Violation, match="from which 0 came"):
        oracle.on_send(fake_host(), bytes(40), 0, SERVER)


def test_a_handshake_packet_even_a_coalesced_one_ends_the_limit():
    oracle = oracles.Amplification()
    oracle.on_receive(fake_host(), INITIAL[:18] + bytes(1170) + HANDSHAKE, 0, CLIENT)
    oracle.on_send(fake_host(), bytes(100_000), 0, CLIENT)


def test_clients_are_not_limited():
    oracles.Amplification().on_send(fake_host(accepts=False), bytes(1200), 0, SERVER)


@pytest.mark.parametrize("next_deadline", [1.0, 0.5, math.nan])
def test_timeouts_that_are_due_again_and_again_are_told(next_deadline):
    oracle = oracles.Deadlines()
    host = fake_host(endpoint=SimpleNamespace(deadline=lambda: next_deadline))

    def serve_twice():
        for _ in range(2):
            oracle.before_timeout(host)
            oracle.after_step(host)

    with pytest.raises(Violation, match="which is past already"):
        serve_twice()


def test_timeouts_in_the_future_or_never_are_fine():
    oracle = oracles.Deadlines()
    for deadline in (1.1, math.inf):
        host = fake_host(endpoint=SimpleNamespace(deadline=lambda deadline=deadline: deadline))
        for _ in range(3):
            oracle.before_timeout(host)
            oracle.after_step(host)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bytes_in_flight": -1}, "-1 bytes in flight"),
        ({"congestion_window": 2399}, "less than two datagrams"),
        ({"packets_sent": 0}, "a total fell"),
    ],
)
def test_impossible_congestion_state_is_told(wrong, told):
    oracle = oracles.Congestion()
    connection = FakeConnection()
    host = fake_host(connections=[connection])
    oracle.after_step(host)
    connection.stats = fake_stats(**wrong)
    with pytest.raises(Violation, match=told):
        oracle.after_step(host)


def fake_streams(opened, closed, reset, live):
    streams = SimpleNamespace(
        opened=lambda: opened,
        closed=lambda: closed,
        reset_count=lambda: reset,
        live=lambda: live,
    )
    return SimpleNamespace(state=SimpleNamespace(streams=streams))


def test_a_stream_that_got_lost_is_told():
    oracle = oracles.StreamBooks()
    oracle.after_step(fake_host(connections=[fake_streams(5, 2, 1, 2)]))
    with pytest.raises(Violation, match="5 streams opened"):
        oracle.after_step(fake_host(connections=[fake_streams(5, 2, 1, 1)]))


class TestEndings:
    def setup_method(self):
        self.oracle = oracles.Endings()
        self.connection = FakeConnection()
        self.host = fake_host(connections=[self.connection])

    def tell(self, event):
        self.oracle.on_event(self.host, self.connection, event)

    def close(self):
        self.tell(ConnectionClosing(None))
        self.connection.closed = True
        self.tell(ConnectionClosed(None))

    def test_closing_then_closed_is_fine(self):
        self.close()
        self.oracle.after_step(self.host)

    def test_a_drain_that_never_ends_is_told(self):
        self.tell(ConnectionClosing(None))
        self.host.now = 20.0
        with pytest.raises(Violation, match="closing since"):
            self.oracle.after_step(self.host)

    def test_an_event_after_the_end_is_told(self):
        self.close()
        with pytest.raises(Violation, match="after the connection was closed"):
            self.tell(ConnectionClosed(None))

    def test_two_beginnings_of_the_end_are_told(self):
        self.tell(ConnectionClosing(None))
        with pytest.raises(Violation, match="twice"):
            self.tell(ConnectionClosing(None))

    def test_a_closed_connection_that_says_it_is_not_is_told(self):
        with pytest.raises(Violation, match="says it is not"):
            self.tell(ConnectionClosed(None))

    def test_a_second_close_that_has_an_effect_is_told(self):
        self.close()
        self.connection.second_close_tells = [ConnectionClosed(None)]
        with pytest.raises(Violation, match="idempotent"):
            self.oracle.after_step(self.host)
