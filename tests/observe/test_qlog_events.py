"""Every event of runs that do all that can be watched is as qlog's schema wants it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.error_codes import FLOW_CONTROL_ERROR
from ropewalk.quic.types.errors import StreamReset, TransportError
from ropewalk.quic.wire.header import encode_version_negotiation, parse_long_header
from tests.connection.pair import CLIENT, Pair
from tests.http3.talk import OK, Talk, request
from tests.observe.qlog_schema import Schema, records
from tests.observe.watched import Logs, losing, move, watched_pair

SCHEMA = Schema()
ELSEWHERE = Address("198.51.100.7", 40000)


def transfer(logs: Logs) -> None:
    """Loss, a key update, a datagram, a reset and an orderly close."""
    pair = watched_pair(logs.client, logs.server)
    pair.to_server = losing(0.03, 1)
    pair.to_client = losing(0.03, 2)
    pair.connect()
    move(pair, 300_000)
    assert pair.client.update_keys(pair.now)
    move(pair, 100_000)
    pair.client.send_datagrams([bytes(100)])
    pair.drive(0.2)
    assert pair.server.receive_datagrams(10) == [bytes(100)]
    stream_id = pair.client.open_stream(False)
    assert stream_id is not None
    pair.client.write(stream_id, b"given up")
    pair.drive(0.2)
    pair.client.reset(stream_id, 7)
    pair.drive(1.0)
    with pytest.raises(StreamReset):
        pair.server.read(stream_id, 10)
    pair.client.close(0x17, "done", pair.now)
    pair.drive(5.0)


def blocked(logs: Logs) -> None:
    """Credit and stream limits that hold the client back until the server reads."""
    limits = {"stream_window": 5000, "connection_window": 6000, "max_unidirectional_streams": 1}
    pair = watched_pair(logs.client, logs.server, both=limits).connect()
    first = pair.client.open_stream()
    second = pair.client.open_stream()
    assert first is not None
    assert second is not None
    pair.client.write(first, bytes(8000))
    pair.drive(0.2)
    pair.client.write(second, bytes(8000))
    assert pair.client.open_stream(False) is not None
    assert pair.client.open_stream(False) is None
    pair.drive(0.2)
    pair.client.stop(first, 3)
    pair.drive(0.2)
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)


def http3(logs: Logs) -> None:
    """A request with a body, its response, and a GOAWAY."""
    talk = Talk(client={"observer": logs.client}, server={"observer": logs.server})
    secret = (b"authorization", b"Basic c2VjcmV0")
    odd = (b"x-odd", b"\xff\xfe")
    stream_id = talk.ask(request(b"POST", b"/", secret, odd), b"x" * 5000)
    talk.server_side.http.send_response(stream_id, OK)
    talk.server_side.say(stream_id, b"y" * 3000)
    talk.drive(0.2)
    talk.server_side.http.goaway()
    talk.drive(0.2)
    talk.client_side.http.close(talk.now)
    talk.drive(5.0)


def reordered_handshake(logs: Logs) -> None:
    """The server's Handshake packets overtake its first Initial."""
    pair = watched_pair(logs.client, logs.server)
    held: list[bytes] = []

    def overtake(data: bytes) -> list[bytes]:
        held.append(data)
        if len(held) == 1:
            return []
        return [data, held[0]] if len(held) == 2 else [data]

    pair.to_client = overtake
    pair.connect()
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)


def retry(logs: Logs) -> None:
    """The client proves its address first."""
    pair = watched_pair(logs.client, logs.server)

    def decide(incoming):
        if incoming.token_valid:
            pair.accept(incoming)
        else:
            incoming.retry(pair.now)

    pair.on_incoming = decide
    pair.connect()
    pair.server.close(0, "", pair.now)
    pair.drive(5.0)


def version_negotiation(logs: Logs) -> None:
    """The server speaks other versions only."""
    pair = watched_pair(logs.client, logs.server)
    pair.to_server = lambda data: []
    pair.flush()
    header = parse_long_header(pair.sent_to_server[0], 0, 1200)
    assert header is not None
    offered = [0x1A2A3A4A, 0x6B3343CF]
    pair.deliver_to_client(
        encode_version_negotiation(header.source_cid, header.destination_cid, offered, 0)
    )
    pair.drive(0.1)


def rebinding(logs: Logs) -> None:
    """A NAT gives the client another address, and then one that does not answer."""
    pair = watched_pair(logs.client, logs.server).connect()
    pair.client_address = ELSEWHERE
    move(pair, 20_000)
    pair.to_client = lambda data: []
    pair.client_address = CLIENT
    pair.client.ping(pair.now)
    pair.drive(5.0)
    pair.to_client = lambda data: [data]
    move(pair, 20_000)
    pair.server.close(0, "", pair.now)
    pair.drive(5.0)


def rule_broken(logs: Logs) -> None:
    """The server fails the connection, the client hears why; rubbish arrives before."""
    pair = watched_pair(logs.client, logs.server).connect()
    pair.deliver_to_server(b"\x40" + pair.server.own_cids()[0] + bytes(30))
    pair.deliver_to_server(pair.sent_to_server[-1])
    pair.inject(True, b"\x01")
    pair.server.fail(
        TransportError(FLOW_CONTROL_ERROR, "\N{PILCROW SIGN} too much", 0x08), pair.now
    )
    pair.drive(5.0)


def unknown_frames(logs: Logs) -> None:
    """A frame that nobody knows ends the connection, but not the trace."""
    pair = watched_pair(logs.client, logs.server).connect()
    pair.inject(True, b"\x01\x80\x12\x34\x56note")
    pair.drive(5.0)


def handshake_failure(logs: Logs) -> None:
    """No protocol in common: a TLS alert."""
    pair = Pair(
        client={"observer": logs.client, "alpn": ("one",)},
        server={"observer": logs.server, "alpn": ("other",)},
    )
    pair.drive(5.0)


def idle(logs: Logs) -> None:
    """Nobody says anything any more."""
    watched_pair(logs.client, logs.server, both={"idle_timeout": 2.0}).connect().drive(5.0)


RUNS = [
    transfer,
    blocked,
    http3,
    reordered_handshake,
    retry,
    version_negotiation,
    rebinding,
    rule_broken,
    unknown_frames,
    handshake_failure,
    idle,
]


@pytest.mark.parametrize("run", RUNS)
def test_every_event_obeys_the_schema(run: Callable[[Logs], None]) -> None:
    logs = Logs(title=run.__name__)
    run(logs)
    traces = [logs.client_bytes, logs.server_bytes]
    if run is version_negotiation:
        traces = [logs.client_bytes]
    for pieces in traces:
        header, *events = records(b"".join(pieces))
        assert SCHEMA.header_faults(header) == []
        assert [fault for event in events for fault in SCHEMA.event_faults(event)] == []
        times = [event["time"] for event in events]
        assert times == sorted(times)


def test_the_runs_together_show_all_events_that_we_have() -> None:
    seen: Counter[str] = Counter()
    for run in RUNS:
        logs = Logs()
        run(logs)
        for event in logs.events() + (logs.server_events() if logs.server_bytes else []):
            seen[event["name"]] += 1
    # The core has no such thing (yet): it restores no parameters and spins no bit, sends no
    # datagrams of HTTP, pushes nothing, and knows no capsules. Sockets and datagrams as such are
    # below it; a stateful priority above it.
    absent = {
        "quic:server_listening",
        "quic:spin_bit_updated",
        "quic:parameters_restored",
        "quic:udp_datagrams_sent",
        "quic:udp_datagrams_received",
        "quic:udp_datagram_dropped",
        "quic:datagram_data_blocked_updated",
        "quic:marked_for_retransmit",
        "quic:ecn_state_updated",
        "http3:parameters_restored",
        "http3:priority_updated",
        "http3:datagram_created",
        "http3:datagram_parsed",
        "http3:push_resolved",
        "http:capsule_created",
        "http:capsule_parsed",
    }
    assert set(SCHEMA.events) - set(seen) == absent
