"""Losses in bursts and by a script, and that they do not disturb other decisions."""

import math

import pytest

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.link import Link, LinkProfile
from ropewalk.sim.loss import GilbertElliott, LossModel, LossProcess, ScriptedLoss

COUNT = 40_000


def lost_of(profile, count=COUNT, seed=5):
    """For each of so many packets whether it was lost."""
    link = Link(profile, seed)
    return [not link.send(b"x", 0, number * 0.001) for number in range(count)]


def bursts_of(lost):
    """Lengths of the runs of losses."""
    text = "".join("x" if each else " " for each in lost)
    return [len(run) for run in text.split()]


def test_a_gilbert_elliott_link_loses_its_share_in_bursts_of_its_length():
    model = GilbertElliott(to_bad=0.005, to_good=0.25)
    lost = lost_of(LinkProfile(loss_model=model))
    assert model.mean_loss == pytest.approx(0.005 / 0.255)
    bursts = bursts_of(lost)
    # Four standard deviations: gaps are geometric with mean 200, bursts with mean 4.
    assert sum(lost) / COUNT == pytest.approx(model.mean_loss, rel=0.4)
    assert sum(bursts) / len(bursts) == pytest.approx(4.0, abs=4 * 3.5 / math.sqrt(len(bursts)))


def test_in_both_states_packets_may_be_lost_or_survive():
    model = GilbertElliott(to_bad=0.1, to_good=0.1, loss_bad=0.5, loss_good=0.1)
    assert model.mean_loss == pytest.approx(0.3)
    assert sum(lost_of(LinkProfile(loss_model=model))) / COUNT == pytest.approx(0.3, abs=0.03)


def test_a_script_loses_exactly_the_packets_it_names():
    lost = lost_of(LinkProfile(loss_model=ScriptedLoss((0, 3, 4, 99))), count=100)
    assert [number for number, each in enumerate(lost) if each] == [0, 3, 4, 99]


def test_a_script_may_repeat():
    lost = lost_of(LinkProfile(loss_model=ScriptedLoss((2,), repeat=5)), count=20)
    assert [number for number, each in enumerate(lost) if each] == [2, 7, 12, 17]


def test_each_link_starts_its_own_process():
    profile = LinkProfile(loss_model=ScriptedLoss((1,)))
    assert lost_of(profile, 3) == lost_of(profile, 3) == [False, True, False]
    bursty = LinkProfile(loss_model=GilbertElliott(to_bad=0.05, to_good=0.3))
    assert lost_of(bursty, seed=1) == lost_of(bursty, seed=1) != lost_of(bursty, seed=2)


def test_a_loss_model_comes_on_top_of_the_chance_and_leaves_it_alone():
    alone = lost_of(LinkProfile(loss=0.1), 2000)
    both = lost_of(LinkProfile(loss=0.1, loss_model=ScriptedLoss((7, 1000))), 2000)
    differing = [number for number in range(2000) if alone[number] != both[number]]
    assert set(differing) <= {7, 1000}
    assert both[7]
    assert both[1000]


def test_changing_another_chance_leaves_the_bursts_where_they_are():
    model = GilbertElliott(to_bad=0.02, to_good=0.3)
    plain = lost_of(LinkProfile(loss_model=model), 3000)
    assert lost_of(LinkProfile(loss_model=model, jitter=0.1, duplication=0.5), 3000) == plain


def test_a_model_of_ones_own_is_two_small_classes():
    class EverySecond(LossModel):
        def start(self, source):
            return Alternation()

    class Alternation(LossProcess):
        def __init__(self):
            self.turn = False

        def lost(self, now, size):
            self.turn = not self.turn
            return self.turn

    assert lost_of(LinkProfile(loss_model=EverySecond()), 4) == [True, False, True, False]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GilbertElliott(to_bad=1.5, to_good=0.1),
        lambda: GilbertElliott(to_bad=0.0, to_good=0.0),
        lambda: GilbertElliott(to_bad=0.1, to_good=0.1, loss_bad=-0.1),
        lambda: ScriptedLoss((1, -1)),
    ],
)
def test_an_impossible_model_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
