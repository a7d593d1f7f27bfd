"""What follows from a trace: fates, rates, alignment."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from ropewalk.lab.trace import Trace, align, figures_of, rates_of
from ropewalk.lab.trace.align import partners
from ropewalk.lab.trace.coverage import Coverage
from ropewalk.lab.trace.figures import percentile
from ropewalk.lab.trace.ledger import SpaceLedger
from tests.lab.qlogs import ack, event, packet, sample, stream, trace_of


def lost(time: float, number: int) -> dict[str, object]:
    return event(time, "packet_lost", {"header": {"packet_type": "1RTT", "packet_number": number}})


def test_the_fate_of_each_packet() -> None:
    trace = trace_of(
        [
            *(packet(n, "sent", n, stream(n * 100, 100)) for n in range(4)),
            packet(40, "received", 0, ack([0], [2])),
            lost(41, 1),
            lost(42, 3),
            packet(60, "received", 1, ack([0], [2, 3])),
        ]
    )
    assert [trace.packets.fate(row) for row in range(4)] == ["acked", "lost", "acked", "spurious"]
    figures = figures_of(trace)
    assert (figures.packets_lost, figures.spurious_losses, figures.loss_rate) == (2, 1, 0.5)


def test_an_ack_of_another_space_acknowledges_nothing() -> None:
    events = [
        packet(0, "sent", 0, stream(0, 1)),
        packet(9, "received", 0, ack([0]), header={"packet_type": "handshake"}),
    ]
    assert trace_of(events).packets.fate(0) == "sent"


def test_data_sent_again_is_no_new_data() -> None:
    trace = trace_of(
        [
            packet(0, "sent", 0, stream(0, 1000)),
            packet(1, "sent", 1, stream(1000, 1000)),
            packet(2, "sent", 2, stream(500, 1000)),
            packet(3, "sent", 3, stream(2000, 500, fin=True)),
        ]
    )
    figures = figures_of(trace)
    assert (figures.data_sent, figures.bytes_resent) == (2500, 1000)
    assert figures.goodput_sent == pytest.approx(2500 * 8 / 0.003)
    (only,) = trace.streams
    assert (only.sent, only.resent, only.finished) == (2500, 1000, True)


def test_rtt_comes_from_metrics_and_without_them_from_acks() -> None:
    events = [
        packet(0, "sent", 0, stream(0, 1)),
        packet(30, "received", 0, ack([0], delay=4)),
        packet(40, "sent", 1, stream(1, 1)),
        packet(90, "received", 1, ack([0, 1])),
    ]
    assert list(trace_of(events).rtt_samples()) == pytest.approx([0.03, 0.05])
    metrics = [
        event(30 + n, "recovery:metrics_updated", {"latest_rtt": 20 + n, "smoothed_rtt": 20})
        for n in range(3)
    ]
    trace = trace_of(sorted(events + metrics, key=lambda each: each["time"]))
    assert list(trace.rtt_samples()) == pytest.approx([0.02, 0.021, 0.022])


def test_only_news_of_the_largest_packet_are_an_rtt_sample() -> None:
    events = [
        packet(0, "sent", 0, stream(0, 1)),
        packet(1, "sent", 1, stream(1, 1)),
        packet(2, "sent", 2, ack([0])),
        packet(30, "received", 0, ack([1])),
        packet(40, "received", 1, ack([0, 1])),  # the largest is no news
        packet(50, "received", 2, ack([0, 2])),  # the news ask for no ACK
    ]
    assert list(trace_of(events).rtt_samples()) == pytest.approx([0.029])


def test_metrics_that_repeat_themselves_are_one_sample() -> None:
    data = {"latest_rtt": 20, "smoothed_rtt": 20, "rtt_variance": 5, "cwnd": 12_000}
    again = [event(n, "recovery:metrics_updated", {**data, "bytes_in_flight": n}) for n in range(9)]
    (path,) = trace_of(again).paths
    assert (len(path.latest_rtt), len(path.congestion_window), len(path.bytes_in_flight)) == (
        1,
        1,
        9,
    )


def test_a_setting_is_no_measured_rtt() -> None:
    before = event(0, "recovery_metrics_updated", {"smoothed_rtt": 333, "rtt_variance": 166})
    assert len(trace_of([before]).paths[0].smoothed_rtt) == 0


def test_rates_add_up_to_the_bytes() -> None:
    trace = sample("quic_go_server.sqlog")
    rates = rates_of(trace, 50)
    figures = figures_of(trace)
    assert sum(rates.sent) * rates.width / 8 == pytest.approx(figures.bytes_sent)
    assert sum(rates.received) * rates.width / 8 == pytest.approx(figures.bytes_received)
    assert sum(rates.data_sent) * rates.width / 8 == pytest.approx(figures.data_sent)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([1, 2, 3, 4], 0.5) == 2
    assert percentile([1, 2, 3, 4], 0.95) == 4
    assert percentile([7], 0.95) == 7
    assert math.isnan(percentile([], 0.5))


def test_unknown_figures_are_null_in_json() -> None:
    document = figures_of(trace_of([packet(0, "received", 0)])).as_json()
    assert document["rtt_median"] is None
    assert document["loss_rate"] is None


# -- both ends


def both_ends(clock_difference: float) -> list[Trace]:
    client = [packet(0, "sent", 0), packet(45, "received", 0), packet(50, "sent", 1)]
    server = [packet(20, "received", 0), packet(25, "sent", 0), packet(75, "received", 1)]
    for each in server:
        each["time"] += clock_difference
    return [trace_of(client, "client"), trace_of(server, "server")]


def test_clocks_that_agree_stay_as_they_are() -> None:
    assert align(both_ends(0)) == [0, 0]


@pytest.mark.parametrize("difference", [-400, 3000])
def test_clocks_that_differ_are_set_by_the_fastest_packets(difference: float) -> None:
    _, shift = align(both_ends(difference))
    assert shift == pytest.approx(-difference / 1000)


def test_recorded_ends_are_set_within_a_millisecond_of_the_wall_clock() -> None:
    ends = [sample("quic_go_client.sqlog"), sample("quic_go_server.sqlog")]
    by_wall_clock = align(ends)[1]
    by_packets = align([replace(end, wall_clock=None) for end in ends])[1]
    assert 0.02 < by_wall_clock < 0.03
    assert by_packets == pytest.approx(by_wall_clock, abs=0.001)


def test_a_wall_clock_that_cannot_be_true_is_not_believed() -> None:
    client, server = both_ends(0)
    wrong = [replace(client, wall_clock=1e9), replace(server, wall_clock=1e9 + 5)]
    assert align(wrong)[1] == pytest.approx(0)


def test_a_packet_is_found_at_both_ends() -> None:
    client, server = sample("ngtcp2_client.sqlog"), sample("ngtcp2_server.sqlog")
    mine, theirs = partners(client, server)
    for row, partner in enumerate(mine):
        if partner >= 0:
            assert theirs[partner] == row
            assert client.packets.number[row] == server.packets.number[partner]
            assert client.packets.sent[row] != server.packets.sent[partner]
    assert sum(partner < 0 for partner in theirs) >= 3  # what was lost on the way


# -- mechanisms


def test_coverage_counts_each_byte_once() -> None:
    chance = random.Random("coverage/1")
    for _ in range(200):
        coverage, bytes_seen = Coverage(), bytearray(200)
        for _ in range(30):
            start = chance.randrange(200)
            end = min(200, start + chance.randrange(40))
            new = bytes_seen[start:end].count(0)
            bytes_seen[start:end] = b"\1" * (end - start)
            assert coverage.add(start, end) == new


def test_a_log_full_of_gaps_costs_bounded_memory() -> None:
    coverage = Coverage()
    for offset in range(0, 40_000, 2):
        coverage.add(offset, offset + 1)
    assert len(coverage._starts) <= 4096


def test_the_ledger_tells_each_acknowledged_packet_once() -> None:
    chance = random.Random("ledger/1")
    for _ in range(100):
        ledger, number, sent = SpaceLedger(), 0, {}
        open_numbers: set[int] = set()
        for row in range(60):
            number += chance.randrange(1, 4)
            ledger.add(number, row)
            sent[number] = row
            open_numbers.add(number)
            first = chance.randrange(number + 1)
            last = first + chance.randrange(12)
            expected = sorted(n for n in open_numbers if first <= n <= last)
            assert list(ledger.acknowledge(first, last)) == [sent[n] for n in expected]
            open_numbers.difference_update(expected)
            assert ledger.row(number) == row
            assert ledger.row(number + 1) == -1
        assert not ledger.add(number, 99)
