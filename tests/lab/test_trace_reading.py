"""Qlogs of other stacks and of ours, in every serialization."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ropewalk.lab.trace import NotQlog, Trace, figures_of, read_qlog, read_qlog_file
from tests.lab.qlogs import DATA, ack, event, head, packet, sample, sequence, stream, trace_of
from tests.observe.watched import Logs, losing, move, watched_pair

STACKS = ("aioquic", "ngtcp2", "quic_go")
ENDING = {"aioquic": "qlog", "ngtcp2": "sqlog", "quic_go": "sqlog"}


def of_stack(stack: str, side: str) -> Trace:
    return sample(f"{stack}_{side}.{ENDING[stack]}")


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_foreign_qlog_is_read_without_anything_odd(stack: str, side: str) -> None:
    trace = of_stack(stack, side)
    assert trace.oddities == {}
    assert trace.vantage_point == side
    assert trace.implementation.replace("-", "_").startswith(stack)
    assert trace.start == pytest.approx(0, abs=0.01)
    assert trace.close is not None
    assert trace.close.initiator == ("local" if side == "client" else "remote")
    assert 0.03 < trace.handshake_complete < 0.2


@pytest.mark.parametrize("stack", STACKS)
def test_both_ends_tell_of_the_same_connection(stack: str) -> None:
    client, server = of_stack(stack, "client"), of_stack(stack, "server")
    assert client.group == server.group != ""
    downloads = [
        next(stream for stream in trace.streams if stream.stream_id == 0)
        for trace in (client, server)
    ]
    assert downloads[0].received == downloads[1].sent > 40_000
    assert downloads[0].sent == downloads[1].received > 0
    assert all(download.finished for download in downloads)


@pytest.mark.parametrize(
    ("stack", "lost", "sent"), [("aioquic", 4, 50), ("ngtcp2", 3, 46), ("quic_go", 9, 48)]
)
def test_losses_and_packets_are_those_in_the_file(stack: str, lost: int, sent: int) -> None:
    trace = of_stack(stack, "server")
    text = (DATA / f"{stack}_server.{ENDING[stack]}").read_text()
    assert text.count(":packet_lost") == lost
    assert text.count("transport:packet_sent") == sent
    figures = figures_of(trace)
    assert (figures.packets_lost, figures.packets_sent) == (lost, sent)
    assert figures.bytes_resent > 0
    assert 0.040 <= figures.rtt_min <= figures.rtt_median <= figures.rtt_p95 < 0.1


def test_version_and_alpn_of_those_who_tell_them() -> None:
    assert (of_stack("quic_go", "client").version, of_stack("quic_go", "client").alpn) == (
        "QUIC v1",
        "h3",
    )
    assert of_stack("aioquic", "client").alpn == "h3 (offered)"
    assert of_stack("ngtcp2", "client").alpn == ""


def test_requests_give_streams_their_labels() -> None:
    labels = {stream.stream_id: stream.label for stream in of_stack("quic_go", "server").streams}
    assert labels[0] == "GET /40k"


def test_a_probe_timeout_is_seen_by_its_count() -> None:
    assert figures_of(of_stack("ngtcp2", "client")).probe_timeouts == 1


@pytest.mark.parametrize("contained", [False, True])
def test_our_own_qlog_reads_back(contained: bool) -> None:
    logs = Logs(contained=contained, title="ours")
    pair = watched_pair(logs.client, logs.server).connect()
    move(pair, 300_000)
    pair.client.close(7, "enough", pair.now)
    pair.drive(5.0)
    client, server = (
        read_qlog(b"".join(pieces))[0] for pieces in (logs.client_bytes, logs.server_bytes)
    )
    assert client.oddities == server.oddities == {}
    assert (client.title, client.version, client.group) == ("ours", "QUIC v1", server.group)
    sent, received = figures_of(client), figures_of(server)
    assert sent.data_sent == received.data_received == 300_000
    assert sent.packets_sent == received.packets_received
    assert client.close is not None
    assert (client.close.initiator, client.close.reason) == ("local", "enough")
    assert "0x7" in client.close.error


def test_our_own_losses_read_back() -> None:
    logs = Logs()
    pair = watched_pair(logs.client, logs.server).connect()
    pair.to_server = losing(0.02, 3)
    move(pair, 300_000)
    (client,) = read_qlog(b"".join(logs.client_bytes))
    lost = len(logs.events("quic:packet_lost"))
    assert figures_of(client).packets_lost == lost > 0


def test_one_document_a_line_is_read_like_a_sequence() -> None:
    records = [head(), packet(1, "sent", 0, stream(0, 100)), packet(21, "received", 0, ack([0]))]
    lines = "\n".join(json.dumps(record) for record in records).encode()
    (trace,) = read_qlog(lines)
    assert [trace.packets.fate(row) for row in range(2)] == ["acked", "received"]


def contained(*events: object, **fields: object) -> bytes:
    trace = {"events": list(events), **fields}
    return json.dumps({"qlog_version": "0.3", "traces": [trace]}).encode()


def test_fields_behind_the_events_count_as_well() -> None:
    late = contained(
        packet(5, "sent", 0),
        packet(10, "sent", 1),
        vantage_point={"type": "server"},
        common_fields={"time_format": "delta"},
    )
    (trace,) = read_qlog(late)
    assert trace.vantage_point == "server"
    assert list(trace.packets.time) == pytest.approx([0.005, 0.015])


def test_a_document_larger_than_a_window_is_read_event_by_event() -> None:
    events = [packet(n, "sent", n, stream(n * 1000, 1000)) for n in range(20_000)]
    data = contained(*events, title="ümläut 😀" * 300_000)
    assert len(data) > 3 << 20
    (trace,) = read_qlog(data)
    assert len(trace.packets) == 20_000
    assert list(trace.packets.number[-3:]) == [19_997, 19_998, 19_999]
    assert trace.title.startswith("ümläut 😀")


@pytest.mark.parametrize("window", range(1, 24))
def test_it_does_not_matter_where_a_window_ends(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ropewalk.lab.trace.contained._WINDOW", window)
    events = [packet(n * 1234, "sent", n * 111) for n in range(4)]
    numbers = {f"n{n}": 12345 for n in range(30)}
    data = json.dumps({**numbers, "title": "ü€😀", "traces": [{"events": events}]})
    for text in (data, json.dumps(json.loads(data), indent=2, ensure_ascii=False)):
        (trace,) = read_qlog(text.encode())
        assert trace.oddities == {}
        assert trace.title == "ü€😀"
        assert list(trace.packets.number) == [0, 111, 222, 333]
        assert list(trace.packets.time) == pytest.approx([0, 1.234, 2.468, 3.702])


def test_several_traces_in_one_document_are_told_apart() -> None:
    traces = [
        {"vantage_point": {"type": side}, "events": [packet(0, "sent", 0)]}
        for side in ("client", "server")
    ]
    found = read_qlog(json.dumps({"traces": traces}).encode(), "both.qlog")
    assert [(trace.name, trace.vantage_point) for trace in found] == [
        ("both.qlog #1", "client"),
        ("both.qlog #2", "server"),
    ]


def test_absolute_times_count_from_the_first_event() -> None:
    trace = trace_of([packet(1.7e12, "sent", 0), packet(1.7e12 + 250, "sent", 1)])
    assert list(trace.packets.time) == pytest.approx([0, 0.25])
    assert trace.wall_clock == pytest.approx(1.7e9)


def test_times_relative_to_the_event_before_add_up() -> None:
    events = [packet(100, "sent", 0), packet(20, "sent", 1), packet(5, "sent", 2)]
    trace = trace_of(events, time_format="relative_to_previous_event")
    assert list(trace.packets.time) == pytest.approx([0.1, 0.12, 0.125])


def test_a_reference_with_nanoseconds_is_the_wall_clock() -> None:
    reference = {"clock_type": "monotonic", "wall_clock_time": "2026-11-20T16:20:07.412329431Z"}
    trace = trace_of([packet(0, "sent", 0)], reference_time=reference)
    assert trace.wall_clock == pytest.approx(1_795_191_607.412329)


def test_old_and_new_places_of_header_fields_mean_the_same() -> None:
    old = event(
        0,
        "transport:packet_sent",
        {
            "packet_type": "onertt",
            "header": {"packet_number": "17", "packet_size": 900},
            "frames": [],
        },
    )
    table = trace_of([old]).packets
    assert (table.kind[0], table.number[0], table.size[0]) == (3, 17, 900)


def test_paths_have_their_own_packet_numbers() -> None:
    events = [
        packet(0, "sent", 0, stream(0, 10), header={"path_id": 0}),
        packet(1, "sent", 0, stream(10, 10), header={"path_id": 1}),
        packet(40, "received", 0, {**ack([0]), "frame_type": "path_ack", "path_id": 1}),
    ]
    trace = trace_of(events)
    assert [trace.packets.fate(row) for row in range(2)] == ["sent", "acked"]
    assert [path.name for path in trace.paths[:2]] == ["path 0", "path 1"]


def test_routes_of_one_path_share_their_packet_numbers() -> None:
    events = [
        packet(0, "sent", 0, stream(0, 10)),
        packet(1, "sent", 1, stream(10, 10), tuple="1"),
        packet(40, "received", 0, ack([0, 1]), tuple="1"),
    ]
    trace = trace_of(events)
    assert [trace.packets.fate(row) for row in range(2)] == ["acked", "acked"]
    assert [path.name for path in trace.paths] == ["", "route 1"]


def test_a_file_is_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "some.sqlog"
    path.write_bytes(sequence(head(), packet(0, "sent", 0)))
    (trace,) = read_qlog_file(path)
    assert trace.name == "some.sqlog"
    path.write_bytes(b"")
    with pytest.raises(NotQlog, match="empty"):
        read_qlog_file(path)


def test_handshake_without_state_events_is_told_by_the_first_packets() -> None:
    initial = packet(0, "sent", 0, header={"packet_type": "initial"})
    client = trace_of([initial, packet(9, "received", 0), packet(30, "sent", 0)], "client")
    server = trace_of([initial, packet(9, "sent", 0), packet(50, "received", 0)], "server")
    assert (client.handshake_complete, server.handshake_complete) == (0.03, 0.05)


def test_a_log_that_begins_after_the_handshake_does_not_tell_of_it() -> None:
    assert math.isnan(trace_of([packet(30, "sent", 0)], "client").handshake_complete)
