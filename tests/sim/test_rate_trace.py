"""Links driven by traces deliver when the trace has an opportunity, as Mahimahi's do."""

import pytest

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.codel import CoDel
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.queues import DropTail
from ropewalk.sim.rate_trace import RateTrace
from ropewalk.sim.transfer import TransferPlan, run_transfer
from tests.sim.wires import balance, line_of

#: A UDP payload that is 1,500 bytes of IP, and 1,504 with the header of a TUN device.
FULL = 1472
#: Two of these fill an opportunity.
HALF = 720


def milliseconds(times):
    return [round(time * 1000, 6) for time in times]


def sent_over(trace, *sizes, at=0.0, **profile):
    line, link = line_of(LinkProfile(trace=RateTrace.parse(trace), **profile))
    line.send(*sizes, at=at)
    receiver = line.run()
    assert balance(link.counters)
    return milliseconds(receiver.times)


def test_each_opportunity_delivers_a_full_packet_and_the_trace_repeats():
    assert sent_over("1\n2\n2\n5\n", *[FULL] * 9) == [1, 2, 2, 5, 6, 7, 7, 10, 11]


def test_small_packets_share_an_opportunity():
    assert sent_over("1\n2\n2\n5\n", *[HALF] * 7) == [1, 1, 2, 2, 2, 2, 5]


def test_the_header_of_the_tun_device_counts():
    assert sent_over("1\n2\n2\n5\n", HALF + 1, HALF) == [1, 2]


def test_a_packet_that_does_not_fit_takes_part_of_the_next_one():
    # 1,000 + 32 bytes each: cut at 1,504, 3,008, 4,512 and 6,016.
    assert sent_over("10\n20\n30\n40\n", *[1000] * 5) == [10, 20, 30, 30, 40]


def test_a_large_packet_takes_several_opportunities():
    assert sent_over("1\n2\n5\n", 3000) == [5]
    assert sent_over("1\n2\n5\n", 2976) == [2]


def test_opportunities_pass_by_when_nothing_waits():
    assert sent_over("1\n2\n3\n10\n", FULL, FULL, at=0.0025) == [3, 10]


def test_an_opportunity_of_the_same_instant_is_missed():
    assert sent_over("1\n2\n10\n", FULL, at=0.002) == [10]


def test_a_trace_goes_on_through_any_silence():
    assert sent_over("3\n7\n", FULL, FULL, at=700.0015) == [700_003, 700_007]
    assert sent_over("0\n7\n", FULL, FULL, FULL, at=70.0) == [70_007, 70_007, 70_014]


def test_delay_comes_on_top():
    assert sent_over("1\n4\n", FULL, FULL, delay=0.1) == [101, 104]


def test_the_queue_is_bounded_and_may_have_any_discipline():
    assert sent_over("10\n", *[FULL] * 9, queue=DropTail(packets=3)) == [10, 20, 30]
    assert sent_over("10\n", *[FULL] * 9, queue_packets=3) == [10, 20, 30]
    with_codel = sent_over("10\n", *[FULL] * 200, queue=CoDel())
    assert 100 < len(with_codel) < 200


def test_a_link_may_change_between_trace_and_rate():
    line, link = line_of(LinkProfile(trace=RateTrace((10,))))
    line.send(*[FULL] * 4, 3000)
    line.run(until=0.045)
    assert (link.queue_length(0.045), link.queue_bytes(0.045)) == (1, 3028)
    line.run(until=0.055)
    link.set_profile(LinkProfile(rate=1_500_000.0))
    line.send(FULL, FULL)
    assert len(line.run(until=1.0).arrived) == 7
    link.set_profile(LinkProfile(trace=RateTrace((10,))))
    line.send(FULL, FULL)
    assert milliseconds(line.run(until=2.0).times[7:]) == [1010, 1020]
    assert balance(link.counters)
    assert link.counters.in_transit == 0


def test_another_trace_begins_where_the_time_is():
    line, link = line_of(LinkProfile(trace=RateTrace((10,))))
    line.send(*[FULL] * 8, at=5.0001)
    line.run(until=5.025)
    link.set_profile(LinkProfile(trace=RateTrace((4,))))
    assert milliseconds(line.run().times) == [5010, 5020, 5030, 5032, 5036, 5040, 5044, 5048]


def test_a_transfer_gets_the_mean_rate_of_its_trace():
    # 3 opportunities in the first and 1 in the last half of each 100 ms: 480 kbit/s.
    trace = RateTrace((10, 20, 30, 100))
    assert trace.mean_rate == 4 * 1504 / 0.1
    profile = LinkProfile(trace=trace, delay=0.02, queue_packets=40)
    plan = TransferPlan(
        seed=1,
        forward=profile,
        backward=profile,
        download=600_000,
        oracles=[],
        witness=False,
    )
    result = run_transfer(plan)
    assert result.intact
    assert 0.85 < result.bytes_received / result.duration / trace.mean_rate < 0.98


def test_a_trace_is_read_from_a_file(tmp_path):
    path = tmp_path / "cellular.up"
    path.write_text("0\n0\n12\n\n13\n")
    assert RateTrace.load(path) == RateTrace((0, 0, 12, 13))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "needs opportunities"),
        ("0\n0\n", "after 0 ms"),
        ("5\n4\n", "must not fall"),
        ("5\n5.5\n", "line 2 of a rate trace is '5.5'"),
        ("-1\n", "line 1"),
        ("a mouse", "line 1"),
    ],
)
def test_what_is_no_trace_is_refused(text, told):
    with pytest.raises(ConfigurationError, match=told):
        RateTrace.parse(text)
