"""Datagrams grow to what a route carries, and shrink when it carries less (RFC 9000 14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ropewalk.sim.link import LinkProfile
from ropewalk.sim.transfer import Transfer, TransferPlan
from tests.transport.transfers import link


def planned(profile: LinkProfile, download: int) -> Transfer:
    settings: dict[str, object] = {"max_udp_payload": 65527}
    return Transfer(
        TransferPlan(
            seed=1, forward=profile, backward=profile, download=download, settings=settings
        )
    )


@pytest.mark.parametrize("mtu", [1200, 1280, 1372, 1452, 1472, 8972])
def test_a_transfer_finds_the_size_of_its_route(mtu: int) -> None:
    transfer = planned(link(rate=1_250_000.0, rtt=0.02, mtu=mtu), download=4_000_000)
    result = transfer.run()
    assert result.intact
    assert mtu - 20 <= result.server.max_datagram_size <= mtu


def test_probes_that_are_too_large_never_reduce_the_window() -> None:
    profile = link(rate=1_250_000.0, rtt=0.02, mtu=1300, queue_packets=10_000)
    transfer = planned(profile, download=1_000_000)
    windows: list[int] = []

    def look() -> None:
        peer = transfer.server_app.connection
        if peer is not None and not peer.closed:
            windows.append(peer.path_stats()[0].congestion_window)
        if transfer.network.clock.now < 0.8:
            transfer.network.clock.after(0.005, look)

    look()
    result = transfer.run()
    assert result.intact
    assert result.backward.dropped_mtu > 3
    assert windows == sorted(windows)


@pytest.mark.parametrize("smaller", [1200, 1280])
def test_a_route_that_comes_to_carry_less_is_survived(smaller: int) -> None:
    transfer = planned(link(rate=1_250_000.0, rtt=0.02, mtu=1472), download=3_000_000)
    narrow = replace(transfer.backward.profile, mtu=smaller)
    transfer.network.clock.at(1.0, lambda: transfer.backward.set_profile(narrow))
    result = transfer.run()
    assert result.intact
    assert smaller - 20 <= result.server.max_datagram_size <= smaller
    # A second of 1.25 MB/s before the change, and no more than a few probe timeouts after it.
    assert result.duration < 6.0
