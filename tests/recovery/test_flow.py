"""Recovery, pacing and congestion control together, over a toy bottleneck.

Each run checks all the time that sent = acknowledged + lost + in flight, that the bytes
in flight are those of the outstanding slots, and that the window keeps two datagrams.
"""

from __future__ import annotations

import math

import pytest

from tests.recovery.flow import DATAGRAM, make_flow

both = pytest.mark.parametrize("congestion", ["newreno", "cubic"])


@both
def test_a_link_with_one_bdp_of_queue_is_filled(congestion: str) -> None:
    clock, flow = make_flow(congestion=congestion, rate_mbit=20, rtt=0.040)
    capacity = 20e6 / 8
    clock.run(1.0)
    assert flow.forward.delivered_bytes > 0.85 * capacity, "slow start is short"
    before = flow.forward.delivered_bytes
    clock.run(13.0)
    assert flow.forward.delivered_bytes - before > 0.95 * 12 * capacity
    assert flow.route.packets_lost <= flow.forward.dropped, "no loss was imagined"
    assert flow.route.packets_lost < 0.01 * flow.route.packets_sent
    assert flow.probes == 0


@both
def test_a_queue_of_25_packets_costs_little(congestion: str) -> None:
    clock, flow = make_flow(congestion=congestion, rate_mbit=20, rtt=0.040, queue=25 * DATAGRAM)
    clock.run(10.0)
    assert flow.forward.delivered_bytes > 0.85 * 10 * 20e6 / 8
    assert flow.rtt_peak < 0.060, "the pacer keeps bursts out of the queue"


@both
def test_a_satellite_path_is_filled_within_seconds(congestion: str) -> None:
    clock, flow = make_flow(congestion=congestion, rate_mbit=5, rtt=0.6)
    clock.run(4.0)
    before = flow.forward.delivered_bytes
    clock.run(24.0)
    assert flow.forward.delivered_bytes - before > 0.90 * 20 * 5e6 / 8


@both
@pytest.mark.parametrize(
    ("rtt", "loss", "duplicate", "jitter", "chunks"),
    [
        (0.005, 0.01, 0.0, 0.0, 4000),
        (0.05, 0.05, 0.0, 0.0, 2000),
        (0.05, 0.20, 0.0, 0.0, 1000),
        (0.6, 0.20, 0.0, 0.0, 500),
        (0.6, 0.05, 0.05, 0.02, 500),
        (0.05, 0.0, 0.05, 0.03, 4000),
        (0.05, 0.02, 0.10, 0.20, 1000),
    ],
)
def test_everything_arrives_whatever_the_path_does(
    congestion: str, rtt: float, loss: float, duplicate: float, jitter: float, chunks: int
) -> None:
    clock, flow = make_flow(
        congestion=congestion, rtt=rtt, loss=loss, duplicate=duplicate, jitter=jitter,
        queue=25 * DATAGRAM, chunks=chunks,
    )  # fmt: skip
    clock.run(2000.0, flow.done)
    assert flow.done()
    assert len(flow.arrived) == chunks
    # A packet a round trip and better, even where a fifth of all packets is lost.
    assert clock.now < 1.5 * chunks * (rtt + jitter)


@both
def test_a_run_repeats_from_its_seed(congestion: str) -> None:
    ends = []
    for _ in range(2):
        clock, flow = make_flow(congestion=congestion, loss=0.05, jitter=0.01, chunks=500, seed=9)
        clock.run(500.0, flow.done)
        ends.append((clock.now, flow.route.packets_sent, flow.acks_sent, flow.samples))
    assert ends[0] == ends[1]


def test_reordering_without_loss_costs_few_spurious_retransmissions() -> None:
    clock, flow = make_flow(rtt=0.05, jitter=0.02, chunks=8000, queue=math.inf)
    clock.run(100.0, flow.done)
    assert flow.done()
    assert flow.forward.dropped == 0
    assert flow.route.packets_spurious <= flow.route.packets_lost
    assert flow.route.packets_lost < 0.01 * flow.route.packets_sent
    assert clock.now < 1.5 * 8000 * DATAGRAM / (20e6 / 8), "the reductions were undone"


def test_after_an_outage_the_flow_comes_back_within_one_backed_off_probe() -> None:
    clock, flow = make_flow(chunks=30_000)
    clock.run(2.0)
    flow.forward.up = flow.backward.up = False
    clock.run(7.0)
    assert 5 <= flow.probes <= 16, "probes back off"
    assert flow.route.bytes_in_flight <= flow.controller.congestion_window + 16 * DATAGRAM
    flow.forward.up = flow.backward.up = True
    clock.run(14.0)
    assert flow.route.pto_count == 0
    clock.run(100.0, flow.done)
    assert flow.done()


def test_a_tail_loss_is_repaired_by_a_probe() -> None:
    clock, flow = make_flow(chunks=100)
    clock.run(0.06)
    flow.forward.up = False
    clock.run(0.2)
    flow.forward.up = True
    clock.run(3.0, flow.done)
    assert flow.done()
    assert flow.probes > 0


def test_small_writes_neither_grow_the_window_nor_wait_for_the_pacer() -> None:
    clock, flow = make_flow(chunks=3)
    clock.run(1.0)
    for turn in range(50):
        flow.supply(4)
        clock.run(1.0 + (turn + 1) * 0.1)
        assert flow.done(), "four packets cross within one round trip"
    assert flow.controller.congestion_window <= 20 * DATAGRAM
    # From here the application has plenty again: the window opens.
    flow.supply(5000)
    clock.run(60.0, flow.done)
    assert flow.done()
    assert flow.controller.congestion_window > 40 * DATAGRAM


def test_an_idle_flow_keeps_a_small_ledger() -> None:
    clock, flow = make_flow(chunks=20_000)
    clock.run(100.0, flow.done)
    assert flow.done()
    for turn in range(12):
        flow.supply(1)
        clock.run(200.0 + turn)
    assert flow.space.ledger.mask == 31
