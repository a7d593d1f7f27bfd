"""Bytes cross the simulated network whole and in order, whatever it does to packets.

Every run is watched by all oracles of ``ropewalk.sim.oracles`` and by a witness on each side
that keeps its own books on the plaintext packets.
"""

import pytest

from ropewalk.quic.types.errors import ApplicationError, IdleTimeout, StatelessReset
from ropewalk.sim.batching import Coalescing
from tests.transport.transfers import COMPILED, TEN_MB, link, transfer

LOSSES = [0.0, 0.01, 0.05, 0.2]


def check(result, size):
    assert result.intact
    assert result.bytes_received == size
    error = result.server_error
    if isinstance(error, ApplicationError):
        assert (error.code, error.from_peer) == (0, True)
    else:
        # Every copy of the client's CONNECTION_CLOSE was lost.
        assert isinstance(error, (IdleTimeout, StatelessReset))
        assert result.forward.dropped_loss + result.forward.corrupted > 0


@pytest.mark.parametrize("direction", ["download", "upload"])
@pytest.mark.parametrize("loss", LOSSES)
def test_ten_megabytes_cross_at_every_loss_rate(loss, direction):
    check(transfer(link(loss=loss), **{direction: TEN_MB}), TEN_MB)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rtt", [0.005, 0.6])
def test_short_and_long_round_trips_at_every_loss_rate(rtt, loss):
    size = TEN_MB if COMPILED else 1_000_000
    check(transfer(link(rtt=rtt, loss=loss), seed=2, download=size), size)


@pytest.mark.parametrize("rtt", [0.005, 0.05, 0.6])
def test_ten_megabytes_with_loss_reordering_duplication_and_corruption(rtt):
    size = TEN_MB if COMPILED or rtt == 0.05 else 1_000_000
    profile = link(
        rtt=rtt,
        loss=0.01,
        reordering=0.02,
        reordering_delay=rtt / 8,
        duplication=0.02,
        corruption=0.01,
        jitter=rtt / 10,
    )
    result = transfer(profile, seed=3, download=size)
    check(result, size)
    assert min(result.backward.reordered, result.backward.duplicated) > size // 1200 // 100
    assert result.backward.corrupted > size // 1200 // 200


@pytest.mark.parametrize("streams", [2, 10, 300])
def test_both_directions_at_once_over_many_streams(streams):
    result = transfer(
        link(loss=0.02, reordering=0.02),
        seed=4,
        download=600_000,
        upload=600_000,
        streams=streams,
    )
    check(result, 1_200_000)


@pytest.mark.parametrize(
    "coalescing",
    [Coalescing(segments=1), Coalescing(window=0.001), Coalescing(window=0.02, segments=10)],
    ids=["one by one", "1 ms", "20 ms, 10 at a time"],
)
def test_receive_batches_of_any_shape(coalescing):
    check(transfer(link(loss=0.01), seed=5, download=1_000_000, coalescing=coalescing), 1_000_000)


@pytest.mark.parametrize("size", [1200, 1452, 8952, 65_000])
def test_every_payload_size_keeps_to_its_cap(size):
    result = transfer(
        link(loss=0.01, mtu=size),
        seed=6,
        download=1_000_000,
        settings={"initial_udp_payload": size, "max_udp_payload": size},
    )
    check(result, 1_000_000)
    assert result.forward.dropped_mtu == result.backward.dropped_mtu == 0


@pytest.mark.parametrize("congestion", ["newreno", "cubic"])
def test_a_slow_line_with_a_short_queue_is_used_well(congestion):
    profile = link(rate=125_000.0, rtt=0.06)
    result = transfer(profile, seed=7, download=1_000_000, settings={"congestion": congestion})
    check(result, 1_000_000)
    assert result.duration < 1_000_000 / 125_000.0 * 1.35


def test_windows_grow_to_fill_a_long_fat_line():
    # Once the windows were never told of time, and half a window crossed per round trip.
    result = transfer(link(rtt=0.6, queue_packets=5000), seed=8, download=TEN_MB)
    check(result, TEN_MB)
    assert result.duration < 12.0


def test_an_empty_transfer_and_a_single_byte():
    check(transfer(link(loss=0.05), download=0, upload=0), 0)
    check(transfer(link(loss=0.05), download=1, upload=0), 1)
