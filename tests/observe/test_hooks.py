"""What the hooks are told is what happened."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from tests.connection.pair import CLIENT, SERVER, Pair
from tests.http3.talk import OK, Talk, request
from tests.observe.notebook import Notebook
from tests.observe.watched import losing, move, read_all, watched_pair


def noted(**options: Any) -> tuple[Pair, Notebook, Notebook]:
    """A connected pair and what was noted at either end."""
    client, server = Notebook(), Notebook()
    return watched_pair(client, server, **options).connect(), client, server


# -- the beginning


def test_a_connection_is_named_alike_at_both_ends() -> None:
    asked: list[tuple[Any, ...]] = []

    class Asked(Notebook):
        def connection(
            self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
        ) -> Notebook:
            asked.append((is_client, original_dcid, local, remote))
            return self

    pair = watched_pair(Asked(), Asked()).connect()
    dcid = pair.client.state.original_destination_cid
    assert asked == [(True, dcid, "", str(SERVER)), (False, dcid, SERVER.ip, str(CLIENT))]


def test_the_handshake_is_told_step_by_step() -> None:
    pair, client, server = noted(both={"alpn": ("other", "test")})
    assert client.of("versions") == [([1], [], 0), ([1], [], 1)]
    assert server.of("versions") == [([1], [], 1)]
    for side in (client, server):
        assert side.of("alpn") == [(["other", "test"], "other")]
        assert side.of("handshake_complete") == [(0x1301, "X25519MLKEM768")]
        assert len(side.of("handshake_confirmed")) == 1
        assert [from_peer for from_peer, _, _ in side.of("parameters")] == [False, True]
    [(_, ours, _), (_, theirs, _)] = client.of("parameters")
    assert ours["initial_max_data"] == pair.client_config.connection_window
    assert theirs["original_destination_connection_id"] == (
        pair.client.state.original_destination_cid
    )
    assert "stateless_reset_token" not in theirs


def test_keys_come_and_go_in_the_order_of_their_levels() -> None:
    _, client, server = noted()
    for side in (client, server):
        levels = [level for level, _, generation, trigger in side.of("key_updated")]
        assert sorted(levels) == [INITIAL] * 2 + [HANDSHAKE] * 2 + [ONE_RTT] * 2
        assert levels[:2] == [INITIAL] * 2
        assert side.of("key_discarded") == [
            (INITIAL, True, 0, "tls"),
            (INITIAL, False, 0, "tls"),
            (HANDSHAKE, True, 0, "tls"),
            (HANDSHAKE, False, 0, "tls"),
        ]


def test_a_key_update_is_local_to_one_end_and_remote_to_the_other() -> None:
    pair, client, server = noted()
    move(pair, 5_000)
    for side in (client, server):
        side.notes.clear()
    assert pair.client.update_keys(pair.now)
    move(pair, 5_000)
    assert client.of("key_updated") == [
        (ONE_RTT, True, 1, "local_update"),
        (ONE_RTT, False, 1, "local_update"),
    ]
    assert server.of("key_updated") == [
        (ONE_RTT, False, 1, "remote_update"),
        (ONE_RTT, True, 1, "remote_update"),
    ]
    for side in (client, server):
        # old keys to send with go at once, those to receive with some time later
        gone = [(sending, generation) for _, sending, generation, _ in side.of("key_discarded")]
        assert gone == [(True, 0), (False, 0)]


# -- packets and recovery


def test_sizes_of_packets_add_up_to_what_was_sent_the_close_included() -> None:
    pair, client, server = noted()
    move(pair, 20_000)
    pair.client.close(7, "over", pair.now)
    pair.drive(5.0)
    sent = sum(size for _, _, _, size, _ in client.of("packet_sent"))
    assert sent == pair.client.counters.bytes_sent == sum(map(len, pair.sent_to_server))
    *_, last = client.of("packet_sent")
    assert last[4][0] == 0x1D
    # without loss, what one end opens is what the other has sealed
    opened = [note[:5] for note in server.of("packet_received")]
    assert opened == [note for note in client.of("packet_sent") if note in opened]
    assert len(opened) >= len(client.of("packet_sent")) - 2


def test_losses_are_told_by_the_rule_that_found_them() -> None:
    pair, client, _ = noted()
    stream_id = pair.client.open_stream()
    assert stream_id is not None
    counted = [0]

    def lose(*indices: int) -> None:
        counted[0] = 0

        def wire(data: bytes) -> list[bytes]:
            counted[0] += 1
            return [] if counted[0] in indices else [data]

        pair.to_server = wire

    # the first of eight is overtaken by more than three, the next to last by one only
    lose(1)
    pair.client.write(stream_id, bytes(8 * 1100))
    pair.drive(1.0)
    lose(7)
    pair.client.write(stream_id, bytes(8 * 1100))
    pair.drive(1.0)
    told = client.of("packets_lost")
    assert [trigger for *_, trigger in told] == ["reordering_threshold", "time_threshold"]
    assert all(len(numbers) == 1 for _, _, numbers, _ in told)


def test_what_is_acknowledged_and_lost_is_what_was_sent() -> None:
    client = Notebook()
    pair = Pair(client={"observer": client})
    pair.to_server = losing(0.05, 4)
    pair.connect()
    move(pair, 100_000)
    acked = [(note[0], number) for note in client.of("packets_acked") for number in note[2]]
    lost = [(note[0], number) for note in client.of("packets_lost") for number in note[2]]
    sent = [(level, number) for level, _, number, _, _ in client.of("packet_sent")]
    assert len(acked) == len(set(acked))
    assert lost
    assert set(acked) | set(lost) <= set(sent)


def test_a_silent_peer_makes_probe_timeouts_that_count_up() -> None:
    pair, client, _ = noted()
    pair.to_server = lambda data: []
    client.notes.clear()
    pair.client.ping(pair.now)
    pair.drive(1.0)
    told = client.of("probe_timeout")
    assert told == [(ONE_RTT, 0, count) for count in range(1, len(told) + 1)]
    assert len(told) >= 3
    # the last metrics say so, too
    assert client.of("metrics")[-1][-1] == len(told)


def test_metrics_are_those_of_the_route() -> None:
    pair, client, _ = noted()
    move(pair, 50_000)
    [stats] = pair.client.path_stats()
    told = client.of("metrics")[-1]
    assert told[0] == 0
    assert told[1] == stats.congestion_window
    assert told[3] == stats.smoothed_rtt
    assert 0 < told[5] <= told[4]
    assert told[7] == -1
    assert client.of("congestion_state")[0] == (0, "", "slow_start")
    assert client.of("recovery_parameters") == [(0, 0.333, 1200, 12000, "cubic")]
    assert client.of("mtu") == [(0, 0, 1200)]


def test_a_loss_begins_a_recovery_that_ends_in_congestion_avoidance() -> None:
    client = Notebook()
    pair = Pair(client={"observer": client}).connect()
    pair.to_server = losing(0.03, 5)
    move(pair, 300_000)
    told = client.of("congestion_state")
    assert told[:3] == [
        (0, "", "slow_start"),
        (0, "slow_start", "recovery"),
        (0, "recovery", "congestion_avoidance"),
    ]
    assert all(before[2] == after[1] for before, after in pairwise(told))
    assert client.of("metrics")[-1][7] > 0


# -- streams


def test_streams_are_told_with_who_opened_them_and_their_states() -> None:
    pair, client, server = noted()
    move(pair, 3_000)
    assert client.of("stream_opened") == [(0, False)]
    assert server.of("stream_opened") == [(0, True)]
    assert client.of("stream_closed") == server.of("stream_closed") == [(0, False)]
    sending = [state[2:] for state in client.of("stream_state") if state[1]]
    assert sending == [("ready", "send"), ("send", "data_sent"), ("data_sent", "data_received")]
    receiving = [state[2:] for state in server.of("stream_state") if not state[1]]
    assert receiving == [
        ("receive", "size_known"),
        ("size_known", "data_received"),
        ("data_received", "data_read"),
    ]


def test_bytes_are_told_with_their_place_in_the_stream() -> None:
    pair, client, server = noted()
    stream_id = pair.client.open_stream()
    assert stream_id is not None
    for size in (3000, 500):
        pair.client.write(stream_id, bytes(size))
        pair.drive(0.2)
        read_all(pair.server, stream_id)
    assert client.of("stream_data") == [(0, 0, 3000, True), (0, 3000, 500, True)]
    assert server.of("stream_data") == [(0, 0, 3000, False), (0, 3000, 500, False)]


def test_calls_without_a_time_bear_that_of_the_last_one_with_it() -> None:
    pair, client, _ = noted()
    last = max(note[1] for note in client.notes)
    pair.drive(5.0)
    pair.client.open_stream()
    [opened] = [note for note in client.notes if note[0] == "stream_opened"]
    assert last <= opened[1] <= pair.now


# -- routes and ends


def test_a_route_is_told_from_its_first_packet_to_its_end() -> None:
    pair, _, server = noted()
    pair.client_address = Address("198.51.100.7", 40000)
    move(pair, 5_000)
    changes = [(change, remote) for _, change, _, remote in server.of("route")]
    assert changes[0] == ("assigned", str(CLIENT))
    there = [change for change, remote in changes if remote == "198.51.100.7:40000"]
    assert there == ["assigned", "migrated", "probing", "validated"]
    assert changes[-1] == ("dropped", str(CLIENT))


def test_it_is_told_once_why_a_connection_ends() -> None:
    pair, client, server = noted()
    pair.client.fail(TransportError(0x0A, "not that", 0x1C), pair.now)
    pair.client.close(1, "too late", pair.now)
    pair.drive(5.0)
    assert client.of("closed") == [("transport", False, 0x0A, 0x1C, "not that")]
    assert server.of("closed") == [("transport", True, 0x0A, 0x1C, "not that")]
    assert client.of("state_changed") == [("active", "closing"), ("closing", "closed")]
    assert server.of("state_changed") == [("active", "draining"), ("draining", "closed")]


# -- HTTP/3


def test_frames_of_http3_are_told_as_written_and_as_read() -> None:
    client, server = Notebook(), Notebook()
    talk = Talk(client={"observer": client}, server={"observer": server})
    stream_id = talk.ask(request(b"POST"), b"x" * 100)
    talk.server_side.http.send_response(stream_id, OK)
    talk.server_side.say(stream_id, b"y" * 200)
    talk.drive(0.2)
    talk.server_side.http.goaway()
    talk.drive(0.2)
    for one, other in ((client, server), (server, client)):
        written = [note[1:] for note in one.of("http3_frame") if note[0]]
        read = [note[1:] for note in other.of("http3_frame") if not note[0]]
        assert sorted(written) == sorted(read)
        kinds = [kind for _, kind, _, _ in written]
        assert {0x00, 0x04} < set(kinds)
        headers = [note[1:] for note in one.of("http3_headers") if note[0]]
        assert headers == [note[1:] for note in other.of("http3_headers") if not note[0]]
    assert [note[4] for note in client.of("http3_frame") if note[2] == 0x07] == [b"\x04"]
    assert client.of("http3_headers")[0][3] == request(b"POST")
    types = [(stream, kind) for from_peer, stream, kind in client.of("http3_stream_type")]
    assert sorted(types) == [(0, -1), (2, 0), (3, 0), (6, 2), (7, 2), (10, 3), (11, 3)]
    ours, theirs = client.of("http3_parameters")
    assert (ours[0], theirs[0]) == (False, True)
    assert theirs[1]["max_field_section_size"] == 65536
