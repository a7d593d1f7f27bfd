"""Each of the 37 counters is moved by what it is named after."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ropewalk.observe.counters import NAMES, Counters
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import HandshakeError, TransportError
from ropewalk.quic.types.handshake import INITIAL, ONE_RTT
from tests.connection.pair import CLIENT, Pair
from tests.observe.watched import losing, move, read_all

ELSEWHERE = Address("198.51.100.7", 40000)
#: RFC 9000 20.1 and the counters' names, in the order of the codes.
CLOSE_NAMES = [name for name in NAMES if name.startswith("Equic")]


def counted(**options: object) -> tuple[Pair, Counters]:
    """A pair whose server is counted."""
    counters = Counters()
    return Pair(server={"observer": counters, **options}), counters


def test_there_are_37_names_each_with_its_value() -> None:
    assert len(NAMES) == len(set(NAMES)) == 37
    assert list(Counters().values().items()) == [(name, 0) for name in NAMES]
    assert len(CLOSE_NAMES) == 17


def test_a_handshake_establishes_a_connection_and_an_orderly_close_ends_it() -> None:
    pair, counters = counted()
    pair.connect()
    values = counters.values()
    assert (values["HandshakesComplete"], values["CurrEstab"]) == (1, 1)
    pair.client.close(0, "", pair.now)
    pair.drive(1.0)
    values = counters.values()
    assert (values["HandshakesComplete"], values["CurrEstab"]) == (1, 0)
    assert (values["ConnClosed"], values["ConnReset"], values["EquicNoError"]) == (1, 0, 1)
    assert values["HandshakesFailed"] == 0


def test_packets_and_bytes_are_those_that_the_connection_counts() -> None:
    pair, counters = counted()
    pair.connect()
    move(pair, 50_000)
    own = pair.server.counters
    values = counters.values()
    assert values["PacketsRx"] == own.packets_received > 40
    assert values["PacketsTx"] == own.packets_sent > 10
    assert values["BytesTx"] == own.bytes_sent
    # What was received less what was dropped; here nothing was but padding after a packet.
    assert 50_000 < values["BytesRx"] <= own.bytes_received


def test_losses_are_counted_by_events_and_packets() -> None:
    counters = Counters()
    pair = Pair(client={"observer": counters}).connect()
    pair.to_server = losing(0.05, 3)
    move(pair, 200_000)
    values = counters.values()
    assert values["Retransmissions"] == pair.client.counters.packets_lost > 0
    assert 0 < values["LossEvents"] <= values["Retransmissions"]
    assert values["RttSamples"] == pair.client.state.path.active.recovery.rtt.samples > 5


def test_packets_lost_at_once_are_one_event() -> None:
    counters = Counters()
    watcher = counters.connection(0.0, True, b"", "", "")
    watcher.packets_lost(1.0, ONE_RTT, 0, [3, 4, 5], "reordering_threshold")
    # a Retry makes packets void, but nothing was lost
    watcher.packets_lost(1.0, INITIAL, 0, [0], "retry")
    assert (counters.values()["LossEvents"], counters.values()["Retransmissions"]) == (1, 4)


def test_streams_and_blocks_are_counted() -> None:
    counters = Counters()
    pair = Pair(client={"observer": counters}, server={"stream_window": 5000}).connect()
    move(pair, 20_000)
    values = counters.values()
    assert (values["StreamsOpened"], values["StreamsClosed"]) == (1, 1)
    assert values["StreamBlocked"] > 0
    stream_id = pair.client.open_stream()
    assert stream_id is not None
    pair.drive(0.1)
    assert counters.values()["StreamsOpened"] == 2
    assert counters.values()["StreamsClosed"] == 1


def test_a_client_that_moves_is_counted() -> None:
    pair, counters = counted()
    pair.connect()
    pair.client_address = ELSEWHERE
    move(pair, 5_000)
    values = counters.values()
    assert (values["PathMigrations"], values["PathValidated"], values["PathFailures"]) == (1, 1, 0)
    pair.to_client = lambda data: []
    pair.client_address = CLIENT
    pair.client.ping(pair.now)
    pair.drive(5.0)
    values = counters.values()
    # there and back to the last address that answered, each time the client calls again
    assert values["PathFailures"] > 0
    assert values["PathMigrations"] > 2
    assert values["PathValidated"] == 1


def test_an_idle_connection_times_out() -> None:
    pair, counters = counted(idle_timeout=2.0)
    pair.connect()
    pair.drive(5.0)
    values = counters.values()
    assert (values["ConnTimedOut"], values["CurrEstab"], values["HandshakesTimeout"]) == (1, 0, 0)


def test_a_handshake_that_stops_half_way_times_out() -> None:
    pair, counters = counted(handshake_timeout=3.0)
    pair.to_client = lambda data: []
    pair.drive(60.0)
    values = counters.values()
    assert values["HandshakesTimeout"] >= 1
    assert values["HandshakesComplete"] == values["HandshakesFailed"] == 0


def test_a_handshake_without_a_common_protocol_fails() -> None:
    counters = Counters()
    pair = Pair(client={"alpn": ("one",)}, server={"alpn": ("other",), "observer": counters})
    pair.drive(3.0)
    values = counters.values()
    assert (values["HandshakesFailed"], values["HandshakesComplete"]) == (1, 0)
    # a TLS alert is none of the codes that have a counter
    assert sum(values[name] for name in CLOSE_NAMES) == 0


def test_a_stateless_reset_is_counted() -> None:
    counters = Counters()
    pair = Pair(client={"observer": counters}).connect()
    pair.server_endpoint._by_cid.clear()
    stream_id = pair.client.open_stream()
    assert stream_id is not None
    pair.client.write(stream_id, bytes(500))
    pair.drive(1.0)
    assert counters.values()["ConnReset"] == 1
    assert counters.values()["CurrEstab"] == 0


@pytest.mark.parametrize("code", range(17))
@pytest.mark.parametrize("by_peer", [False, True])
def test_connections_are_counted_by_the_code_they_close_with(code: int, by_peer: bool) -> None:
    pair, counters = counted()
    pair.connect()
    failing = pair.client if by_peer else pair.server
    failing.fail(TransportError(code, "tried"), pair.now)
    pair.drive(1.0)
    moved = {name: counters.values()[name] for name in CLOSE_NAMES if counters.values()[name]}
    assert moved == {CLOSE_NAMES[code]: 1}
    assert counters.values()["ConnReset"] == (code != 0)


@pytest.mark.parametrize(
    ("end", "name"),
    [
        (lambda pair: pair.client.close(0, "", pair.now), "EquicNoError"),
        (lambda pair: pair.client.close(77, "", pair.now), "EquicApplicationError"),
        (lambda pair: pair.server.close(77, "", pair.now), "EquicApplicationError"),
    ],
)
def test_an_applications_codes_count_as_two(end: Callable[[Pair], None], name: str) -> None:
    pair, counters = counted()
    pair.connect()
    end(pair)
    pair.drive(1.0)
    assert [each for each in CLOSE_NAMES if counters.values()[each]] == [name]


def test_a_tls_alert_after_the_handshake_resets_without_a_code() -> None:
    pair, counters = counted()
    pair.connect()
    pair.server.fail(HandshakeError(40), pair.now)
    pair.drive(1.0)
    assert counters.values()["ConnReset"] == 1
    assert sum(counters.values()[name] for name in CLOSE_NAMES) == 0


def test_connections_of_one_instance_add_up_and_instances_stay_apart() -> None:
    pair, counters = counted()
    other = Counters()
    pair.connect()
    pair.client = pair.client_endpoint.open(pair.client_config, pair.client.remote, 0, pair.now)
    pair.drive(1.0)
    values = counters.values()
    assert (values["HandshakesComplete"], values["CurrEstab"]) == (2, 2)
    assert values["PacketsRx"] == sum(one.counters.packets_received for one in pair.servers)
    assert not any(other.values().values())


def test_the_text_form_is_a_line_of_names_and_a_line_of_values() -> None:
    pair, counters = counted()
    pair.connect()
    names, numbers = counters.text().splitlines()
    assert names.split() == ["TquicExt:", *NAMES]
    assert numbers.split() == ["TquicExt:", *map(str, counters.values().values())]
    assert json.loads(counters.json()) == counters.values()


def test_a_stream_is_closed_when_both_directions_are() -> None:
    counters = Counters()
    pair = Pair(client={"observer": counters}).connect()
    stream_id = pair.client.open_stream()
    assert stream_id is not None
    pair.client.write(stream_id, b"question")
    pair.client.finish(stream_id)
    pair.drive(0.2)
    assert counters.values()["StreamsClosed"] == 0
    pair.server.finish(stream_id)
    pair.drive(0.2)
    read_all(pair.client, stream_id)
    pair.drive(0.2)
    assert counters.values()["StreamsClosed"] == 1
