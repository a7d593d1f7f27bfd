"""Where the search for larger datagrams begins, and for whom it counts (RFC 9000 14.2, 14.3)."""

from __future__ import annotations

import pytest

from ropewalk.quic.wire.frames import PingFrame
from tests.conformance.wire import ELSEWHERE, Watched, seal

BASE = 1200
LARGER = 1452
SEARCHING: dict[str, object] = {"max_udp_payload": LARGER}


def searching(carries: int) -> Watched:
    """A pair that looks for larger datagrams, on a wire that carries so many bytes."""
    pair = Watched(client=SEARCHING, server=SEARCHING)
    pair.to_server = lambda data: [data] if len(data) <= carries else []
    pair.to_client = lambda data: [data] if len(data) <= carries else []
    pair.connect()
    return pair


def download(pair: Watched, size: int) -> None:
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, bytes(size))
    pair.drive(5.0)


@pytest.mark.parametrize("carries", [BASE, LARGER])
def test_the_search_starts_from_1200_bytes(carries: int) -> None:
    pair = searching(carries)
    download(pair, 100_000)
    large = [seen for seen in pair.server_watch.sent if seen.size > BASE]
    # All but probes keep to what is known to pass until a probe has shown more.
    assert all(isinstance(frame, PingFrame) for frame in large[0].frames)
    if carries == BASE:
        assert all(isinstance(frame, PingFrame) for seen in large for frame in seen.frames)
    assert pair.server.state.path.active.datagram_size == carries


def test_each_pair_of_addresses_has_a_size_of_its_own() -> None:
    pair = searching(LARGER)
    download(pair, 100_000)
    home = pair.server.state.path.active
    assert home.datagram_size == LARGER

    pair.deliver_to_server(seal(pair.client, b"\x01" + bytes(1100)), ELSEWHERE)
    away = pair.server.state.path.active
    assert away.remote == ELSEWHERE
    assert (away.datagram_size, away.recovery.max_datagram_size) == (BASE, BASE)
    assert (home.datagram_size, home.recovery.max_datagram_size) == (LARGER, LARGER)

    # The client is still at home, answers from there, and finds the size it had.
    pair.client.ping(pair.now)
    pair.drive(1.0)
    assert pair.server.state.path.active is home
    assert home.datagram_size == LARGER
