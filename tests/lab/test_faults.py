"""Every law is seen to be broken: without a fault the run passes, with it the ID is told."""

import math
from dataclasses import replace

import pytest

from ropewalk.http3.frames import FrameReader
from ropewalk.lab.http3_witness import Http3Witness
from ropewalk.lab.scenario import CustomScenario
from ropewalk.lab.trial import Trial, run_custom
from ropewalk.quic.recovery.congestion.registry import make_controller, register
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.types.congestion import CongestionController
from ropewalk.sim.invariants import INVARIANTS, Violation
from tests.lab.faults import (
    BROKEN,
    BeforeTimeout,
    Bender,
    Saboteur,
    ToldTwice,
    breaks,
    breaks_each,
    play,
    sabotaged,
)
from tests.property import test_planted_faults


def recovery(connection):
    return connection.state.path.active.recovery


def space(connection):
    return connection.state.path.space


# -- deeds


def leak_a_reservation(host, connection):
    recovery(connection).bytes_in_flight += 1200


def count_an_ack_twice(host, connection):
    recovery(connection).bytes_acked += 1200
    recovery(connection).bytes_sent += 1200


def shrink_the_window(host, connection):
    recovery(connection).controller.congestion_window = 2399


def grow_the_window(host, connection):
    recovery(connection).controller.congestion_window += 100_000


def bend_the_rtt(host, connection):
    recovery(connection).rtt.smoothed = -0.001


def age_the_rtt(host, connection):
    recovery(connection).rtt.latest = host.now + 1.0


def back_off_twice(host, connection):
    recovery(connection).pto_count += 2


def lose_hastily(host, connection):
    space(connection).reordering.packets = 0


def ignore_the_limits(host, connection):
    streams = connection.state.streams
    streams.on_max_data(1 << 40)
    streams.on_max_stream_data(0, 1 << 40)


def lose_a_stream(host, connection):
    connection.state.streams._registry.opened += 1


def grow_the_datagrams(host, connection):
    connection.state.path.active.datagram_size = 1300


def number_backwards(host, connection):
    space(connection).ledger.next_packet_number -= 2


def feed_another_route(host, connection):
    """What left on one route is booked on a new one, so that its ACKs feed that."""
    active = connection.state.path.active
    another = RouteRecovery(make_controller("cubic", 1200, None), 1200, 0.333)
    active.recovery = another
    for slot in space(connection).ledger.slots:
        slot.route = another


def never_end(host, connection):
    if not connection.active:
        connection._lifecycle.close_deadline = math.inf


def live_again(host, connection):
    if connection.closed:
        connection.state.life = 0


def ids(outcome):
    """The laws that a run broke."""
    return [breach.id for breach in outcome.breaches]


LOSSLESS = {"links": {"access": {"rate": "20 Mbit/s", "delay": "20 ms"}}}
BOTH_WAYS_DOUBLE = {
    "links": {"access": {"rate": "20 Mbit/s", "delay": "20 ms", "duplication": 1.0}}
}
SHUFFLED = {
    "links": {
        "access": {
            "rate": "20 Mbit/s",
            "delay": "20 ms",
            "reordering": 0.3,
            "reordering_delay": "1 ms",
        }
    }
}
SMALL_WINDOWS = {
    "flows": {
        "download": {
            "download": 1_000_000,
            "settings": {"stream_window": 20_000, "connection_window": 20_000},
        }
    }
}
MOVING = {
    "nats": {"home": {}},
    "happenings": [{"do": "rebind address", "at": 0.2, "nat": "home", "outside": "198.51.100.9"}],
}


@breaks_each(
    ("law", "saboteur", "changes"),
    [
        ("bytes_in_flight_consistent", Saboteur("server", leak_a_reservation), None),
        ("sent_accounted", Saboteur("server", count_an_ack_twice), None),
        ("cwnd_never_below_minimum", Saboteur("server", shrink_the_window), None),
        ("late_ack_own_route", BeforeTimeout("server", grow_the_window), None),
        ("late_ack_own_route", Saboteur("server", feed_another_route), None),
        ("rtt_positive", Saboteur("client", bend_the_rtt), None),
        ("rtt_positive", Saboteur("client", age_the_rtt), None),
        ("pto_backoff_bounded", Saboteur("server", back_off_twice), None),
        ("loss_detection_monotonic", Saboteur("server", lose_hastily), SHUFFLED),
        ("flow_control_respected", Saboteur("server", ignore_the_limits), SMALL_WINDOWS),
        ("streams_balance", Saboteur("server", lose_a_stream), None),
        ("payload_cap", Saboteur("server", grow_the_datagrams), None),
        ("packet_numbers_rise", Saboteur("server", number_backwards), None),
        ("drain_to_closed", Saboteur("server", never_end, always=True), None),
        ("close_idempotent", Saboteur("client", live_again, always=True), None),
    ],
)
def test_a_fault_in_the_state_is_told(law, saboteur, changes):
    told = ids(sabotaged(saboteur, changes))
    assert saboteur.done
    assert len(told) == 1
    return told


@pytest.mark.parametrize(
    "changes", [None, LOSSLESS, BOTH_WAYS_DOUBLE, SHUFFLED, SMALL_WINDOWS, MOVING]
)
def test_the_same_run_without_a_fault_passes(changes):
    assert play(changes).outcome().breaches == ()


@breaks("inv.quic.handshake_completes")
def test_a_handshake_that_goes_on_beyond_its_time_is_told():
    def postpone(host, connection):
        connection.state.started = host.now

    outcome = sabotaged(
        Saboteur("client", postpone, at=0.0, always=True),
        {
            "flows": {"download": {"settings": {"handshake_timeout": 5.0}}},
            "middleboxes": {"wall": {"drops_udp": True}},
        },
    )
    return ids(outcome)


@breaks("inv.quic.handshake_completes")
def test_a_handshake_that_completes_twice_is_told():
    run = play()
    run.network.oracles.insert(0, ToldTwice(run.network.oracles))
    return ids(run.outcome())


@breaks("inv.quic.amplification")
def test_a_server_that_trusts_an_address_too_early_is_told():
    def trust(host, connection):
        connection.state.path.active.validated = True

    outcome = sabotaged(
        Saboteur("server", trust, at=0.0, always=True),
        {
            **LOSSLESS,
            "happenings": [
                {"do": "link down", "at": 0.01, "link": "access", "way": "up", "lasting": 30.0}
            ],
        },
    )
    return ids(outcome)


@breaks("inv.quic.deadlines")
def test_a_timer_that_is_due_in_the_past_again_and_again_is_told():
    def due_already(host, connection):
        host.endpoint._deadlines.set(0, host.now - 1.0)  # the door's

    outcome = sabotaged(Saboteur("client", due_already, always=True))
    return ids(outcome)


def bent(bend, hear=lambda number, payload: [payload]):
    """The ordinary run, whose server's witness hears of packets what ``bend`` makes of them."""
    run = play()
    (record,) = run.records
    bender = Bender(record.server_witness, bend, hear)
    record.server_config = replace(record.server_config, observer=bender)
    return [breach.id for breach in run.outcome().breaches]


def straight(number, payload):
    return [payload]


def prefixed(frames):
    """Prepends a frame to some packets, by their numbers."""
    return lambda number, payload: [frames.get(number, b"") + payload]


@breaks("inv.quic.stream_offsets_monotonic")
def test_a_hole_in_a_stream_is_told():
    return bent(lambda number, payload: [] if number == 100 else [payload])


@breaks("inv.quic.frames_readable")
def test_a_payload_that_an_independent_reader_cannot_read_is_told():
    return bent(prefixed({100: b"\x3f"}))


@breaks("inv.quic.limits_never_shrink")
def test_a_limit_that_shrinks_is_told():
    return bent(prefixed({100: b"\x12\x07", 101: b"\x12\x06"}))


@breaks("inv.quic.acknowledgments_true")
def test_an_acknowledgment_of_what_never_came_is_told():
    return bent(prefixed({100: b"\x02\x7f\xff\x00\x00\x00"}))


@breaks("inv.quic.processed_once")
def test_a_packet_that_is_processed_twice_is_told():
    return bent(straight, lambda number, payload: [payload] * (2 if number == 20 else 1))


def test_acks_that_the_books_have_skipped_are_told():
    told = bent(straight, lambda number, payload: [payload if number < 50 else b"\x01"])
    assert told in (["inv.quic.late_ack_own_route"], ["inv.quic.bytes_in_flight_consistent"])


class FlippedContent:
    """Content of which one byte is written wrong."""

    def __init__(self, content, at):
        self._content = content
        self._at = at
        self.matches = content.matches

    def piece(self, salt, offset, size):
        piece = self._content.piece(salt, offset, size)
        place = self._at - offset
        if 0 <= place < size:
            return piece[:place] + bytes([piece[place] ^ 0x10]) + piece[place + 1 :]
        return piece


@breaks("inv.quic.delivered_as_written")
def test_a_flipped_byte_is_told():
    run = play()
    flow = run.flows["download"]
    flow.content = FlippedContent(flow.content, 123_456)
    outcome = run.outcome()
    return ids(outcome)


@breaks("inv.quic.datagrams_true")
def test_a_datagram_with_a_flipped_byte_is_told():
    run = play({"flows": {"pulse": {"kind": "datagrams", "rate": 50_000, "count": 100}}})
    flow = run.flows["pulse"]
    flow.content = FlippedContent(flow.content, 60)
    outcome = run.outcome()
    return ids(outcome)


class Raising(CongestionController):
    """Fails in the middle of a run."""

    def on_acked(self, now, sample, bytes_in_flight, smoothed_rtt):
        if now > 0.2:
            raise ZeroDivisionError("as planned")


@breaks("inv.quic.no_internal_error")
def test_an_exception_in_the_core_is_told():
    register("raising", Raising)
    outcome = play(
        {"flows": {"download": {"download": 500_000, "congestion": "raising"}}}
    ).outcome()
    assert "as planned" in outcome.breaches[0].text
    return ids(outcome)


# -- HTTP/3

CONTROL, REQUEST = 2, 0
GET = [(b":method", b"GET")]
OK = [(b":status", b"200")]


def http3_witness(is_client=True):
    witness = Http3Witness("here", is_client)
    witness.http3_stream_type(0.0, False, CONTROL, 0x00)
    return witness


def broken(act):
    with pytest.raises(Violation) as caught:
        act()
    return caught.value.invariant_id


@breaks("inv.h3.settings_before_other_frames")
def test_a_frame_before_settings_is_told():
    witness = http3_witness()
    return [broken(lambda: witness.http3_frame(0.0, True, CONTROL, 0x07, 1, b"\x00"))]


@breaks("inv.h3.settings_before_other_frames")
def test_a_peer_may_send_what_it_will_as_long_as_it_costs_the_connection():
    def misled():
        witness = http3_witness()
        witness.http3_stream_type(0.0, True, 3, 0x00)
        witness.http3_frame(0.0, False, 3, 0x07, 1, b"\x00")
        return witness

    misled().finish(True)
    return [broken(lambda: misled().finish(False))]


@breaks("inv.h3.goaway_rejects_above_threshold")
def test_a_response_above_the_goaway_is_told():
    witness = http3_witness(is_client=False)
    witness.http3_frame(0.0, True, CONTROL, 0x04, 0, b"")
    witness.http3_frame(0.0, True, CONTROL, 0x07, 1, b"\x04")
    witness.http3_headers(0.0, True, 0, 10, OK)
    return [broken(lambda: witness.http3_headers(0.0, True, 4, 10, OK))]


@breaks("inv.h3.request_state_machine_valid")
def test_frames_of_a_message_out_of_order_are_told():
    witness = http3_witness()
    early = broken(lambda: witness.http3_frame(0.0, True, REQUEST, 0x00, 5, b""))
    witness.http3_headers(0.0, True, 4, 10, GET)
    witness.http3_frame(0.0, True, 4, 0x00, 5, b"")
    witness.http3_headers(0.0, True, 4, 10, [(b"trailer", b"1")])
    late = broken(lambda: witness.http3_headers(0.0, True, 4, 10, [(b"late", b"1")]))
    return [early, late]


@breaks("inv.h3.frame_roundtrip_identity")
def test_a_frame_that_does_not_come_back_as_it_was_is_told():
    witness = http3_witness()
    witness.http3_frame(0.0, True, CONTROL, 0x04, 0, b"")

    class Forgetful(bytes):
        """Reads as one thing and compares as another."""

        def __ne__(self, other):
            return True

    frame = Forgetful(b"\x01")
    return [broken(lambda: witness.http3_frame(0.0, True, CONTROL, 0x0D, 1, frame))]


@breaks("inv.h3.no_panic_on_invalid_input")
def test_an_exception_in_http3_is_a_panic():
    def play_badly(trial: Trial) -> None:
        reader = FrameReader()
        reader.feed(b"123")
        reader.feed(b"456")  # what was fed before is not used up: an assertion fails

    scenario = CustomScenario(name="bad", family="http3", about="panics", play=play_badly)
    return ids(run_custom(scenario, 1, {}))


def test_every_law_is_broken_somewhere():
    assert "test_a_timer_that_is_left_over_is_noticed" in dir(test_planted_faults)
    here = {law for law in BROKEN if not law.startswith("inv.cancel.")}
    assert here == set(INVARIANTS)
