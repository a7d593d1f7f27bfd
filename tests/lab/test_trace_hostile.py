"""Files that are broken, or made to do harm: counted and said, never a traceback."""

from __future__ import annotations

import json
import random
import re

import pytest

from ropewalk.cli.trace import lines, packet_lines, summary
from ropewalk.lab.report import Page, render
from ropewalk.lab.trace import NotQlog, figures_of, read_qlog
from tests.lab.qlogs import DATA, ack, event, head, packet, sequence, stream, trace_of

WHOLE = sequence(head(), *(packet(n, "sent", n, stream(n * 10, 10)) for n in range(5)))


def test_a_broken_record_is_counted_and_the_rest_is_read() -> None:
    data = WHOLE.replace(b'"packet_number": 2', b'"packet_number": 2x')
    (trace,) = read_qlog(data)
    assert list(trace.packets.number) == [0, 1, 3, 4]
    assert trace.oddities == {"broken records": 1}


def test_a_file_cut_short_is_read_up_to_there() -> None:
    (trace,) = read_qlog(WHOLE[:-40])
    assert list(trace.packets.number) == [0, 1, 2, 3]
    assert trace.oddities == {"the last record is cut short": 1}


def test_a_broken_event_of_a_document_is_passed_over() -> None:
    events = [packet(n, "sent", n) for n in range(5)]
    data = json.dumps({"traces": [{"events": events}]}).encode()
    (trace,) = read_qlog(data.replace(b'"packet_number": 2', b'"packet_number": 2x'))
    assert list(trace.packets.number) == [0, 1, 3, 4]
    assert trace.oddities == {"broken events": 1}


def test_a_document_cut_short_is_read_up_to_there() -> None:
    events = [packet(n, "sent", n) for n in range(5)]
    data = json.dumps({"traces": [{"events": events}]}).encode()
    (trace,) = read_qlog(data[:-60])
    assert list(trace.packets.number) == [0, 1, 2, 3]
    assert sum(trace.oddities.values()) >= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"\x89PNG\r\n", "no qlog"),
        (b"{}", "no qlog events"),
        (b"[1, 2]", "no qlog"),
        (b'{"traces": 7}', "no qlog events"),
        (b"\x1e{\n\x1e\n", "no qlog events"),
        (b'{"a":' * 100_000, "no qlog events"),
    ],
)
def test_what_is_no_qlog_is_said_to_be_none(data: bytes, reason: str) -> None:
    with pytest.raises(NotQlog, match=reason):
        read_qlog(data)


def test_values_out_of_range_are_left_out() -> None:
    events = [
        packet(0, "sent", 2**64, stream(0, 2**61)),
        event(1, "recovery_metrics_updated", {"latest_rtt": 1e300, "congestion_window": -5}),
        event(2, "recovery_metrics_updated", {"latest_rtt": True, "smoothed_rtt": "nan"}),
        event(float("inf"), "packet_sent"),
    ]
    trace = trace_of(events)
    assert trace.packets.number[0] == -1
    assert trace.packets.fresh[0] == 0
    assert len(trace.paths[0].latest_rtt) == 0
    assert trace.oddities == {"events without a name or a time": 1}


def test_losses_of_packets_never_sent_are_odd() -> None:
    lost = event(1, "packet_lost", {"header": {"packet_type": "1RTT", "packet_number": 9}})
    assert trace_of([packet(0, "sent", 1), lost]).oddities == {
        "losses of packets that the log does not have": 1
    }


def test_control_signs_do_not_reach_the_terminal() -> None:
    close = event(1, "connection_closed", {"error_code": 1, "reason": "\x1b[2J\u202egone\n"})
    trace = trace_of([close])
    assert trace.close is not None
    assert trace.close.reason == "�[2J�gone�"


def test_acks_of_everything_again_and_again_cost_their_news_only() -> None:
    count = 20_000
    events = []
    for number in range(count):
        events.append(packet(2 * number, "sent", number, stream(number, 1)))
        events.append(packet(2 * number + 1, "received", number, ack([0, number])))
    trace = trace_of(events)
    assert all(
        trace.packets.acked[row] == pytest.approx(trace.packets.time[row] + 0.001)
        for row in range(0, 2 * count, 2)
    )


def test_changed_bytes_never_bring_a_traceback() -> None:
    chance = random.Random("qlog/1")
    seeds = [path.read_bytes()[:20_000] for path in sorted(DATA.glob("*qlog"))]
    values = [b"null", b"-1", b"1e400", b"9" * 30, b"[]", b"{}", b'"\\ud800"', b"NaN", b"true"]
    place = re.compile(rb'(?<=[:\[,])(?: ?)(\d+(\.\d+)?|"[^"]*"|true|false)(?=[,\]}])')
    for turn in range(150):
        data = bytearray(chance.choice(seeds))
        if turn % 2:
            for _ in range(20):
                data[chance.randrange(len(data))] = chance.randrange(256)
        else:
            found = list(place.finditer(bytes(data)))
            for match in sorted(chance.sample(found, 40), key=lambda m: -m.start()):
                data[match.start() : match.end()] = chance.choice(values)
        try:
            traces = read_qlog(bytes(data), "changed")
        except NotQlog:
            continue
        for trace in traces:
            figures = figures_of(trace)
            assert list(lines(trace, figures))
            assert len(list(packet_lines(trace))) == len(trace.packets)
            json.dumps(summary(trace), allow_nan=False)
        if turn % 10 == 0:
            render(traces, Page(title="changed"))
