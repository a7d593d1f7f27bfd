"""The checker itself: it lets good events pass and names what is wrong with broken ones."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.observe.qlog_schema import Schema, records

SCHEMA = Schema()

SENT: dict[str, Any] = {
    "time": 1.5,
    "name": "quic:packet_sent",
    "data": {
        "header": {"packet_type": "1RTT", "packet_number": 7},
        "frames": [
            {"frame_type": "ack", "ack_delay": 0.5, "acked_ranges": [[1], [3, 9]]},
            {"frame_type": "stream", "stream_id": 0, "offset": 5, "fin": True},
            {"frame_type": "connection_close", "error": "crypto_error_0x128"},
            {"frame_type": "path_challenge", "data": "0011223344556677"},
        ],
        "raw": {"length": 40},
    },
}
HEADER: dict[str, Any] = {
    "file_schema": "urn:ietf:params:qlog:file:sequential",
    "serialization_format": "application/qlog+json-seq",
    "trace": {
        "vantage_point": {"type": "client"},
        "event_schemas": ["urn:ietf:params:qlog:events:quic-13"],
        "common_fields": {"reference_time": {"clock_type": "system", "epoch": "unknown"}},
    },
}


def test_what_is_right_passes() -> None:
    assert SCHEMA.event_faults(SENT) == []
    assert SCHEMA.header_faults(HEADER) == []
    # both are open to more
    assert SCHEMA.event_faults({**SENT, "queue_length": 3}) == []


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["time"], "1.5", "float64"),
        (["name"], "quic:packet_sunk", "no event"),
        (["data", "header"], None, "'header' is missing"),
        (["data", "header", "packet_type"], "1-RTT", "PacketType"),
        (["data", "header", "packet_number"], -1, "uint64"),
        (["data", "header", "packet_number"], 2**64, "uint64"),
        (["data", "header", "packet_number"], True, "uint64"),
        (["data", "header", "scil"], 256, "uint8"),
        (["data", "header", "dcid"], "0AFF", "hexstring"),
        (["data", "header", "dcid"], "0af", "hexstring"),
        (["data", "size"], 40, "'size' is unknown"),
        (["data", "trigger"], "whim", "none of"),
        (["data", "raw", "length"], 1.5, "uint64"),
        (["data", "stateless_reset_token"], "00", "hexstring size 16"),
        (["data", "frames"], {}, "no array"),
        (["data", "frames", 0, "frame_type"], "ackk", "QuicBaseFrames"),
        (["data", "frames", 0, "acked_ranges", 0], [], "0 items"),
        (["data", "frames", 0, "acked_ranges", 0], [1, 2, 3], "3 items"),
        (["data", "frames", 0, "stream_id"], 3, "'stream_id' is unknown"),
        (["data", "frames", 1, "stream_id"], None, "'stream_id' is missing"),
        (["data", "frames", 1, "fin"], 1, "bool"),
        (["data", "frames", 2, "error"], "crypto_error_0x28", "none of"),
        (["data", "frames", 2, "reason"], 5, "text"),
    ],
)
def test_what_is_wrong_is_named(path: list[Any], value: object, complaint: str) -> None:
    broken = copy.deepcopy(SENT)
    target: Any = broken
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    faults = SCHEMA.event_faults(broken)
    assert any(complaint in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"qlog_version": "0.3"}, "'qlog_version' is unknown"),
        ({"file_schema": 1}, "text"),
        ({"trace": {"event_schemas": []}}, "0 items"),
        ({"trace": {"event_schemas": ["x"], "vantage_point": {"type": "middle"}}}, "VantagePoint"),
        ({"trace": {}}, "'event_schemas' is missing"),
    ],
)
def test_a_wrong_header_is_found_out(change: dict[str, Any], complaint: str) -> None:
    faults = SCHEMA.header_faults({**HEADER, **change})
    assert any(complaint in fault for fault in faults), faults


def test_every_listed_event_has_a_type_that_the_checker_understands() -> None:
    for name in SCHEMA.events:
        # It must not give up on any type: required fields are missing, that is all.
        for fault in SCHEMA.event_faults({"time": 0, "name": name, "data": {}}):
            assert "is missing" in fault


@pytest.mark.parametrize("data", [b"{}\n", b"\x1e{}", b"\x1e{}\n{}\n"])
def test_records_are_framed(data: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        records(data)
