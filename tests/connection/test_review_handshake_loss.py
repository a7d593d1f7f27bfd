"""Handshakes over wires that lose whole flights, with certificates of many datagrams."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.runtime.certificates import make_certificate
from tests.connection.pair import SERVER, Pair

_MADE = make_certificate([f"host-number-{index:05}.example" for index in range(420)])
BULKY = StaticCredentials(load_credential(_MADE.cert_pem, _MADE.key_pem))


class Spinning(Pair):
    """A pair that notices timers which fire again and again without anything coming of it."""

    def __init__(self, bulky: bool = False, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # tests name the fields
        self.fired: dict[float, int] = {}
        if bulky:
            self.server_config = replace(self.server_config, credentials=BULKY)

    def _timeouts(self) -> None:
        for endpoint in (self.client_endpoint, self.server_endpoint):
            if endpoint.deadline() <= self.now:
                count = self.fired.get(self.now, 0) + 1
                self.fired[self.now] = count
                assert count <= 8, f"timers spin at {self.now}"
        super()._timeouts()


def lose(pair: Pair, direction: str, first: int, count: int) -> None:
    """Drop ``count`` datagrams in a row, from number ``first`` on."""
    seen = [0]

    def drop(data: bytes) -> list[bytes]:
        seen[0] += 1
        return [] if first < seen[0] <= first + count else [data]

    setattr(pair, direction, drop)


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("bulky", [False, True])
@pytest.mark.parametrize("retry", [False, True])
def test_handshake_survives_runs_of_lost_datagrams(
    direction: str, bulky: bool, retry: bool
) -> None:
    for count in (2, 3, 3 if retry else 5):
        for first in range(14 if bulky else 8):
            pair = Spinning(bulky)
            if retry:

                def send_away(incoming: Incoming, pair: Pair = pair) -> None:
                    if incoming.token_valid:
                        pair.accept(incoming)
                    else:
                        incoming.retry(pair.now)

                pair.on_incoming = send_away
            lose(pair, direction, first, count)
            pair.drive(29.0)
            where = (direction, bulky, retry, count, first)
            assert pair.client.handshake_confirmed, (where, pair.client.close_error)
            assert pair.server.handshake_confirmed, where
            for side in (pair.client, pair.server):
                assert side.state.path.active.recovery.bytes_in_flight == 0, where


@pytest.mark.parametrize("bulky", [False, True])
def test_handshake_survives_random_loss_in_both_directions(bulky: bool) -> None:
    for seed in range(40):
        pair = Spinning(bulky, seed=seed)

        def perhaps(data: bytes, pair: Pair = pair) -> list[bytes]:
            return [] if pair.random.random() < 0.2 else [data]

        pair.to_server = perhaps
        pair.to_client = perhaps
        pair.drive(29.5)
        assert pair.client.handshake_complete, seed
        pair.to_server = lambda data: [data]
        pair.to_client = lambda data: [data]
        pair.drive(29.0)
        assert pair.client.handshake_confirmed, seed
        assert pair.server.handshake_confirmed, seed


def test_a_long_certificate_chain_takes_no_more_than_three_round_trips() -> None:
    pair = Spinning(True, delay=0.1)
    pair.drive(0.65)
    assert pair.client.handshake_complete
    assert pair.client.counters.probe_timeouts == 0
    assert pair.server.counters.probe_timeouts == 0


def test_a_validated_client_gets_a_long_chain_without_waiting_for_a_timeout() -> None:
    pair = Pair(delay=0.1).connect()
    token = next(event.token for event in pair.client_events if hasattr(event, "token"))
    pair = Spinning(True, client={"token": token}, delay=0.1)
    pair.drive(0.45)
    assert pair.client.handshake_complete
    assert pair.server.counters.probe_timeouts == 0


def test_handshake_data_that_the_pacer_holds_back_has_a_timer() -> None:
    pair = Spinning(True, delay=0.1)
    pair.to_client = lambda data: [data]
    for _ in range(2000):
        pair.flush()
        upcoming = min(
            [pair.client_endpoint.deadline(), pair.server_endpoint.deadline()]
            + [item[0] for item in pair.wire]
        )
        pair.now = max(pair.now, upcoming)
        pair._arrivals()
        pair._timeouts()
        pair.flush()
        if not pair.servers:
            continue
        state = pair.server.state
        level = state.handshake_level
        if pair.client.handshake_confirmed:
            break
        if level is None or not level.crypto_out.has_pending():
            continue
        recovery = state.path.active.recovery
        room = state.path.active.amplification_room()
        if room >= 1200 and recovery.window_room() >= 1200:
            held_until = recovery.next_send_time(pair.now)
            assert pair.server_endpoint.deadline() <= held_until + 1e-9
    assert pair.client.handshake_confirmed


def test_server_data_queued_early_and_lost_does_not_deadlock_the_handshake() -> None:
    pair = Pair()

    def eager(incoming: Incoming) -> None:
        pair.accept(incoming)
        server = pair.server
        stream = server.open_stream(False)
        assert stream is not None
        server.write(stream, bytes(100_000))
        server.finish(stream)
        server.state.path.active.validated = True

    pair.on_incoming = eager
    # every datagram that begins with a short header is lost at first
    pair.to_client = lambda data: [data] if data[0] & 0x80 else []
    pair.drive(0.2)
    pair.to_client = lambda data: [data]
    pair.drive(5.0)
    assert pair.server.handshake_confirmed
    assert pair.client.handshake_confirmed
    pair.drive(5.0)
    data, ended = pair.client.read(3, 1 << 20)
    assert (len(data), ended) == (100_000, True)


def test_server_data_before_validation_stays_within_three_times_what_came_in() -> None:
    pair = Pair()

    def eager(incoming: Incoming) -> None:
        pair.accept(incoming)
        stream = pair.server.open_stream(False)
        assert stream is not None
        pair.server.write(stream, bytes(100_000))

    pair.on_incoming = eager
    pair.to_client = lambda data: []
    pair.drive(0.015)
    pair.to_server = lambda data: []
    pair.drive(3.0)
    route = pair.server.state.path.active
    assert not route.validated
    assert route.bytes_sent <= 3 * route.bytes_received


def test_client_data_queued_before_the_handshake_goes_with_its_end() -> None:
    pair = Pair()
    stream = pair.client.open_stream()
    if stream is None:
        pair.drive(0.025)
        stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, b"early bird")
    pair.drive(0.06)
    assert pair.server.read(stream, 100) == (b"early bird", False)


def test_keys_that_never_come_do_not_pin_the_receive_buffers() -> None:
    pair = Pair()
    pair.flush()
    pair.wire.clear()
    # a Handshake packet at the end of a big receive buffer
    cid = pair.client.own_cids()[0]
    packet = b"\xe0\x00\x00\x00\x01" + bytes([len(cid)]) + cid + b"\x00\x41\x00" + bytes(256)
    pair.deliver_to_client(packet)
    kept = pair.client.state.undecryptable
    assert len(kept) == 1
    assert len(kept[0].data) == len(packet)
    pair.client_endpoint.receive(
        Datagrams(packet * 40, len(packet), 0, "192.0.2.1", SERVER), pair.now
    )
    assert len(pair.client.state.undecryptable) == 16
    assert sum(len(one.data) for one in pair.client.state.undecryptable) <= 16 * len(packet)
