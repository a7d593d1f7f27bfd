"""Presets: complete, with sources, and altered as asked."""

import pytest

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.codel import FqCoDel
from ropewalk.sim.presets import PAIRS, PRESETS, presets
from ropewalk.sim.queues import DropTail
from ropewalk.sim.transfer import TransferPlan, run_transfer

NAMES = ["fibre", "dsl", "lte", "5g", "starlink", "geo", "wifi", "lossy-wifi"]
MBIT = 125_000.0


def test_there_are_those_that_the_field_speaks_of():
    assert list(PRESETS) == NAMES
    assert all(name == preset.name for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", NAMES)
def test_each_tells_where_its_figures_come_from(name):
    preset = PRESETS[name]
    assert len(preset.source) > 80
    assert preset.about
    for profile in (preset.down, preset.up):
        assert profile.rate <= 300 * MBIT  # 70 s of it can still be afforded
        assert isinstance(profile.queue, DropTail)
        assert 0.9 <= profile.queue.size / preset.bdp(profile) <= 10 or profile.queue.size == 15_000


def test_the_round_trips_are_those_of_the_networks():
    rtt_ms = {name: round(1000 * PRESETS[name].rtt) for name in NAMES}
    assert 5 <= rtt_ms["fibre"] < rtt_ms["5g"] < rtt_ms["starlink"] < rtt_ms["lte"] < 100
    assert rtt_ms["geo"] == 600
    assert PRESETS["starlink"].down.handovers.period == 15.0


@pytest.mark.parametrize("name", NAMES)
def test_a_transfer_runs_over_each(name):
    preset = PRESETS[name]
    plan = TransferPlan(seed=1, forward=preset.up, backward=preset.down, download=200_000)
    result = run_transfer(plan)
    assert result.intact
    assert result.client.min_rtt >= preset.down.delay + preset.up.delay


def test_the_queue_may_be_any_number_of_bandwidth_delay_products():
    dsl = PRESETS["dsl"].altered(queue_bdp=3.0)
    assert dsl.down.queue == DropTail(packets=1 << 30, size=3 * dsl.bdp(dsl.down))
    assert dsl.bdp(dsl.down) == round(50 * MBIT * dsl.rtt)
    assert dsl.up.queue.size == 3 * dsl.bdp(dsl.up)


def test_no_queue_is_shorter_than_ten_packets():
    assert PRESETS["dsl"].altered(queue_bdp=0.01).up.queue.size == 15_000


def test_the_queue_may_be_of_any_kind():
    assert PRESETS["lte"].altered(queue=FqCoDel()).down.queue == FqCoDel()


def test_random_loss_comes_on_top_and_all_loss_can_be_taken_away():
    lossy = PRESETS["lossy-wifi"].altered(loss=0.02)
    assert lossy.down.loss == lossy.up.loss == 0.02
    assert lossy.down.loss_model.mean_loss == pytest.approx(0.01, rel=0.02)
    clean = lossy.without_loss()
    assert (clean.down.loss, clean.down.loss_model, clean.up.loss) == (0.0, None, 0.0)
    assert clean.down.jitter == lossy.down.jitter


def test_pairs_are_presets_joined_by_a_plus():
    assert presets("geo") == (PRESETS["geo"],)
    assert presets("dsl+lte") == (PRESETS["dsl"], PRESETS["lte"])
    assert all(len(presets(pair)) == 2 for pair in PAIRS)


def test_an_unknown_name_is_told_with_those_that_are_known():
    with pytest.raises(ConfigurationError, match=r"'isdn'.*fibre"):
        presets("dsl+isdn")


@pytest.mark.parametrize("wrong", [{"queue_bdp": 0.0}, {"queue_bdp": 1.0, "queue": DropTail()}])
def test_an_impossible_change_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        PRESETS["dsl"].altered(**wrong)
