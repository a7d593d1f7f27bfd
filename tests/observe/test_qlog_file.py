"""The files that qlogs are: their frame, their times, and what they must not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.observe.qlog import BASE, CORE, EXTRA, QlogWriter
from ropewalk.observe.tee import Observers
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.quic.wire import writers
from tests.connection.pair import EPOCH, Pair, frame
from tests.http3.talk import Talk, request
from tests.observe.qlog_schema import Schema, records
from tests.observe.watched import Logs, move, watched_pair

SCHEMA = Schema()


def closed_transfer(logs: Logs) -> Pair:
    pair = watched_pair(logs.client, logs.server).connect()
    move(pair, 20_000)
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)
    return pair


def lonely(pieces: list[bytes], **options: Any) -> QlogWriter:
    """A writer whose hooks a test calls itself, with the connection begun at second 50."""
    writer = QlogWriter(pieces.append, **options)
    writer.connection(50.0, True, b"\x01\x02", "", "192.0.2.2:443")
    return writer


def frames(payload: bytes, **settings: int) -> list[dict[str, Any]]:
    """A payload's frames as qlog tells them."""
    pieces: list[bytes] = []
    writer = lonely(pieces)
    writer.parameters(50.0, True, dict(settings), [])
    writer.packet_received(50.0, ONE_RTT, 0, 7, 40, payload)
    writer.end()
    event = records(b"".join(pieces))[-1]
    assert SCHEMA.event_faults(event) == []
    described: list[dict[str, Any]] = event["data"]["frames"]
    return described


# -- the file


def test_the_header_names_schemas_vantage_point_and_connection() -> None:
    logs = Logs(title="two ends")
    pair = closed_transfer(logs)
    header = records(b"".join(logs.server_bytes))[0]
    assert header["file_schema"] == "urn:ietf:params:qlog:file:sequential"
    assert header["serialization_format"] == "application/qlog+json-seq"
    assert header["title"] == "two ends"
    trace = header["trace"]
    assert trace["vantage_point"] == {"name": "ropewalk", "type": "server"}
    assert trace["event_schemas"] == [
        "urn:ietf:params:qlog:events:quic-13",
        "urn:ietf:params:qlog:events:http3-13",
    ]
    both = [records(b"".join(one))[0] for one in (logs.client_bytes, logs.server_bytes)]
    groups = [one["trace"]["common_fields"]["group_id"] for one in both]
    assert groups == [pair.client.state.original_destination_cid.hex()] * 2


def test_the_contained_form_is_one_document_with_the_same_events() -> None:
    streamed: list[bytes] = []
    contained: list[bytes] = []
    both = Observers([QlogWriter(streamed.append), QlogWriter(contained.append, contained=True)])
    pair = Pair(client={"observer": both}).connect()
    move(pair, 20_000)
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)
    document = json.loads(b"".join(contained))
    assert SCHEMA.header_faults(document, contained=True) == []
    assert document["file_schema"] == "urn:ietf:params:qlog:file:contained"
    assert document["traces"][0]["events"] == records(b"".join(streamed))[1:]


def test_records_are_written_while_the_connection_lives_and_the_file_closed_after_it() -> None:
    pieces: list[bytes] = []
    closed: list[bool] = []
    writer = QlogWriter(pieces.append, close=lambda: closed.append(True))
    pair = Pair(client={"observer": writer}).connect()
    move(pair, 200_000)
    assert len(pieces) > 2
    assert all(len(piece) < 80_000 for piece in pieces)
    records(b"".join(pieces))
    pair.client.close(0, "", pair.now)
    pair.drive(0.0)
    assert records(b"".join(pieces))[-1]["data"]["frames"][0]["frame_type"] == "connection_close"
    assert not closed
    pair.drive(5.0)
    assert closed == [True]
    assert records(b"".join(pieces))[-1]["data"] == {"old": "closing", "new": "closed"}


def test_nothing_is_written_after_the_end() -> None:
    pieces: list[bytes] = []
    writer = lonely(pieces)
    writer.end()
    before = len(pieces)
    writer.stream_data(60.0, 0, 0, 10, False)
    writer.flush()
    writer.end()
    assert len(pieces) == before


def test_one_writer_watches_one_connection() -> None:
    writer = lonely([])
    with pytest.raises(ValueError, match="one connection"):
        writer.connection(1.0, True, b"", "", "")


# -- time


def test_times_are_the_cores_clock_in_milliseconds() -> None:
    pieces: list[bytes] = []
    writer = lonely(pieces)
    writer.packet_dropped(50.001234, "duplicate", 20)
    writer.packet_dropped(51.5, "duplicate", 20)
    writer.end()
    header, *events = records(b"".join(pieces))
    reference = header["trace"]["common_fields"]["reference_time"]
    assert reference == {"clock_type": "monotonic", "epoch": "unknown"}
    assert [event["time"] for event in events[-2:]] == [50001.234, 51500]


def test_a_wall_clock_fixes_the_beginning() -> None:
    logs = Logs(wall_clock=lambda: EPOCH + 100.25)
    closed_transfer(logs)
    header, *events = records(b"".join(logs.client_bytes))
    assert SCHEMA.header_faults(header) == []
    reference = header["trace"]["common_fields"]["reference_time"]
    assert reference == {"clock_type": "system", "epoch": "2027-01-15T08:01:40.250Z"}
    assert events[0]["time"] == 0


# -- how much


def test_importance_says_how_much_is_written() -> None:
    names: list[set[str]] = []
    for importance in (CORE, BASE, EXTRA):
        logs = Logs(importance=importance)
        closed_transfer(logs)
        names.append({event["name"] for event in logs.events()})
    core, base, extra = names
    assert core == {
        "quic:version_information",
        "quic:alpn_information",
        "quic:parameters_set",
        "quic:packet_sent",
        "quic:packet_received",
        "quic:recovery_metrics_updated",
    }
    assert core < base < extra
    assert {"quic:packets_acked", "quic:mtu_updated"} <= extra - base


def test_metrics_tell_only_what_changed() -> None:
    pieces: list[bytes] = []
    writer = lonely(pieces)
    for in_flight in (1200, 2400, 2400):
        writer.metrics(50.0, 0, 12000, in_flight, 0.02, 0.02, 0.02, 0.005, -1, 1000.0, 0)
    writer.end()
    told = [
        event["data"]
        for event in records(b"".join(pieces))[1:]
        if event["name"] == "quic:recovery_metrics_updated"
    ]
    assert told == [
        {
            "congestion_window": 12000,
            "bytes_in_flight": 1200,
            "smoothed_rtt": 20,
            "latest_rtt": 20,
            "min_rtt": 20,
            "rtt_variance": 5,
            "pacing_rate": 8000,
            "pto_count": 0,
        },
        {"bytes_in_flight": 2400},
    ]


def test_events_on_another_route_name_it() -> None:
    pieces: list[bytes] = []
    writer = lonely(pieces, importance=EXTRA)
    writer.route(50.0, 0, "assigned", "", "192.0.2.2:443")
    writer.route(51.0, 0, "assigned", "", "[2001:db8::2]:443")
    writer.route(51.0, 0, "migrated", "", "[2001:db8::2]:443")
    writer.packet_sent(51.0, ONE_RTT, 0, 3, 40, b"\x01")
    writer.end()
    events = records(b"".join(pieces))[1:]
    assert [fault for event in events for fault in SCHEMA.event_faults(event)] == []
    assigned = [event["data"] for event in events if event["name"] == "quic:tuple_assigned"]
    assert [one["tuple_id"] for one in assigned] == ["", "1"]
    assert assigned[1]["tuple_remote"] == {"ip_v6": "2001:db8::2", "port_v6": 443}
    assert events[-1]["tuple"] == "1"


# -- frames


def test_the_delay_of_an_ack_is_told_in_milliseconds() -> None:
    ack = b"\x02\x0a\x44\x00\x01\x02\x01\x00"  # 8..10 and 5, delay 1024
    [told] = frames(ack, ack_delay_exponent=3)
    assert told == {"frame_type": "ack", "ack_delay": 8.192, "acked_ranges": [[8, 10], [5]]}
    [told] = frames(ack, ack_delay_exponent=0)
    assert told["ack_delay"] == 1.024


def test_ecn_counts_are_told() -> None:
    [told] = frames(b"\x03\x00\x00\x00\x00\x01\x02\x03")
    assert (told["ect0"], told["ect1"], told["ce"]) == (1, 2, 3)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"\x12\x05", {"frame_type": "max_streams", "stream_type": "bidirectional", "maximum": 5}),
        (
            b"\x17\x05",
            {"frame_type": "streams_blocked", "stream_type": "unidirectional", "limit": 5},
        ),
        (b"\x19\x05", {"frame_type": "retire_connection_id", "sequence_number": 5}),
        (b"\x1a12345678", {"frame_type": "path_challenge", "data": "3132333435363738"}),
        (b"\x1e", {"frame_type": "handshake_done"}),
        (
            b"\x24\x04\x40\x64\x10\x08",
            {
                "frame_type": "reset_stream_at",
                "stream_id": 4,
                "error": "unknown",
                "error_code": 100,
                "final_size": 16,
                "reliable_size": 8,
            },
        ),
        (
            b"\x1c\x42\x00\x06\x02\xff\xfe",
            {
                "frame_type": "connection_close",
                "error_space": "transport",
                "error": "unknown",
                "error_code": 0x200,
                "reason_bytes": "fffe",
                "trigger_frame_type": 6,
            },
        ),
        (
            b"\x1c\x41\x28\x06\x00",
            {
                "frame_type": "connection_close",
                "error_space": "transport",
                "error": "crypto_error_0x128",
                "reason": "",
                "trigger_frame_type": 6,
            },
        ),
        (
            b"\x7e\x75\x05\x3e",
            {"frame_type": "unknown", "frame_type_bytes": 0x3E75, "raw": {"length": 4}},
        ),
        (
            b"\xac\x4e\x00\x01abc",
            {"frame_type": "unknown", "frame_type_bytes": 0x2C4E0001, "raw": {"length": 7}},
        ),
        (b"\x06\x00\x05ab", {"frame_type": "unknown", "frame_type_bytes": 6, "raw": {"length": 5}}),
    ],
)
def test_a_frame_is_told_with_all_its_fields(payload: bytes, told: dict[str, Any]) -> None:
    assert frames(payload) == [told]
    assert frames(b"\x01" + payload) == [{"frame_type": "ping"}, told]


@given(payload=st.binary(min_size=1, max_size=100))
def test_any_payload_is_described_within_the_schema(payload: bytes) -> None:
    assert frames(payload)


# -- what stays untold


def test_reset_tokens_and_tokens_are_not_written() -> None:
    reset_token = bytes(range(200, 216))
    token = b"let me in, I was here before"
    payload = frame(writers.write_new_connection_id, 1, 0, b"new-id", reset_token)
    payload += frame(writers.write_new_token, token)
    text = json.dumps(frames(payload))
    assert b"new-id".hex() in text
    assert reset_token.hex() not in text
    assert token.hex() not in text


def test_a_whole_connection_gives_away_no_secret() -> None:
    logs = Logs()
    keys: list[str] = []
    pair = watched_pair(logs.client, logs.server, both={"key_log": keys.append}).connect()
    pair.server.set_new_token(b"n" * 40)
    move(pair, 20_000)
    pair.client.close(0, "", pair.now)
    pair.drive(5.0)
    text = b"".join(logs.client_bytes + logs.server_bytes).decode()
    secrets = [line.split()[2] for line in keys]
    assert len(secrets) >= 8
    tokens = [one.reset_token for one in pair.client.state.path.peer_ids.spare]
    for secret in [*secrets, *[token.hex() for token in tokens], (b"n" * 40).hex()]:
        assert secret not in text


def test_values_of_credentials_are_not_written() -> None:
    logs = Logs()
    talk = Talk(client={"observer": logs.client}, server={"observer": logs.server})
    talk.ask(request(b"GET", b"/", (b"authorization", b"Basic c2VjcmV0"), (b"cookie", b"id=c2Vj")))
    for event in (
        *logs.events("http3:frame_created"),
        *logs.server_events("http3:frame_parsed"),
    ):
        headers = event["data"]["frame"].get("headers", [])
        assert {"name": "authorization"} in headers or not headers
    logs.client.flush()
    assert b"c2Vj" not in b"".join(logs.client_bytes + logs.server_bytes)
