"""Datagram sizes, bursts and limits at their edges."""

from __future__ import annotations

import pytest

from ropewalk.quic.connection.crypto_stream import CryptoReceiver
from ropewalk.quic.endpoint import Endpoint
from ropewalk.quic.recovery import ledger
from ropewalk.quic.types.datagrams import Burst
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.local import BLOCKED, WRITABLE, LocalChange
from ropewalk.quic.wire.header import write_short_header
from tests.connection import pair as module
from tests.connection.pair import Pair, forge


class Watched:
    """An endpoint whose bursts are noted down with the datagram size that was allowed."""

    def __init__(self, endpoint: Endpoint, seen: list[tuple[Burst, int]]) -> None:
        self._endpoint = endpoint
        self._seen = seen

    def transmit(self, now: float) -> Burst | None:
        burst = self._endpoint.transmit(now)
        if burst is not None:
            sizes = [one.state.path.active.datagram_size for one in self._endpoint.connections()]
            self._seen.append((burst, int(max(sizes, default=1200))))
        return burst

    def __getattr__(self, name: str) -> object:
        return getattr(self._endpoint, name)


def record(pair: Pair) -> list[tuple[Burst, int]]:
    """All bursts of both endpoints from now on, with the datagram size that was allowed."""
    seen: list[tuple[Burst, int]] = []
    pair.client_endpoint = Watched(pair.client_endpoint, seen)  # type: ignore[assignment]  # stands in
    pair.server_endpoint = Watched(pair.server_endpoint, seen)  # type: ignore[assignment]  # stands in
    return seen


@pytest.mark.parametrize("size", [1200, 1452, 9000, 65000, 65527])
def test_bursts_keep_to_the_rules_of_segmentation_at_every_datagram_size(size: int) -> None:
    sizes = {"initial_udp_payload": size, "max_udp_payload": size}
    pair = Pair(client=sizes, server=sizes)
    bursts = record(pair)
    pair.connect()
    stream = pair.client.open_stream()
    assert stream is not None
    message = bytes(range(256)) * 2000
    sent = 0
    got = b""
    back = 0
    for _ in range(400):
        if sent < len(message):
            sent += pair.client.write(stream, message[sent : sent + 300_000])
            if sent == len(message):
                pair.client.finish(stream)
        pair.client.send_datagrams([bytes(200 + len(got) % 400)])
        pair.drive(0.01)
        if len(got) < len(message) and pair.server.state.streams.is_open(stream):
            got += pair.server.read(stream, 1 << 20)[0]
            back += pair.server.write(stream, bytes(1000))
        if len(got) == len(message):
            break
    assert got == message
    for burst, allowed in bursts:
        data = burst.data
        assert 0 < burst.segment_size <= allowed
        assert len(data) <= 65535
        assert (len(data) + burst.segment_size - 1) // burst.segment_size <= 64


def test_short_headers_without_the_fixed_bit_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = Pair().connect()

    def without_fixed_bit(
        destination: bytes, number: int, length: int, phase: int, spin: int
    ) -> bytes:
        header = write_short_header(destination, number, length, phase, spin)
        return bytes([header[0] & ~0x40]) + header[1:]

    monkeypatch.setattr(module, "write_short_header", without_fixed_bit)
    packet = forge(pair.client, b"\x01\x00\x00\x00")
    before = pair.server.counters.packets_received
    pair.deliver_to_server(packet)
    assert pair.server.counters.packets_received == before
    assert pair.server.active


def test_a_full_ledger_closes_the_connection_without_an_escaping_exception() -> None:
    pair = Pair().connect()
    space = pair.server.state.path.space
    # a ring that may not grow any more
    stream = pair.server.open_stream()
    assert stream is not None
    pair.to_client = lambda data: []
    pair.server.write(stream, b"never acknowledged")
    pair.flush()
    space.ledger.mask = ledger.MAX_SLOTS - 1
    slots = space.ledger.slots
    while len(slots) < ledger.MAX_SLOTS:
        slots.extend(slots[: ledger.MAX_SLOTS - len(slots)])
    space.ledger.next_packet_number = space.ledger.oldest + ledger.MAX_SLOTS
    outstanding = slots[space.ledger.oldest & space.ledger.mask]
    outstanding.state = 1
    outstanding.in_flight = True
    pair.server.write(stream, b"one more")
    pair.flush()
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x01


def test_blocked_sockets_do_not_make_timers_spin_or_back_off_for_nothing() -> None:
    pair = Pair().connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(50_000))
    pair.flush()
    pair.to_server = lambda data: []
    pair.client_endpoint.on_local(0, LocalChange(BLOCKED), pair.now)
    fired = 0
    end = pair.now + 10.0
    while pair.now < end:
        deadline = pair.client_endpoint.deadline()
        if deadline > end:
            break
        assert deadline > pair.now - 1.0
        pair.now = max(pair.now, deadline)
        pair.client_endpoint.on_timeout(pair.now)
        assert pair.client_endpoint.transmit(pair.now) is None
        fired += 1
    assert fired < 1100
    # a probe that never left must not have doubled the period time and again
    assert pair.client.state.path.active.recovery.pto_count <= 2
    pair.to_server = lambda data: [data]
    pair.client_endpoint.on_local(0, LocalChange(WRITABLE), pair.now)
    pair.drive(3.0)
    assert len(pair.server.read(stream, 1 << 20)[0]) == 50_000


def test_many_crypto_fragments_cost_no_more_each_the_more_there_are() -> None:
    receiver = CryptoReceiver()
    for index in range(3000):
        receiver.receive(2 * index + 1, b"x")
    held = receiver._held
    assert held == 3000 * 65
    assert receiver.receive(0, bytes(6000)) != b""
    assert receiver._held == 0
    assert not receiver.waiting
