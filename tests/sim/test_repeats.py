"""Whatever lies between two ends, the same seed gives the same traffic, in any process."""

from dataclasses import replace

import pytest

from ropewalk.sim.codel import CoDel, FqCoDel
from ropewalk.sim.dual_queue import DualPi2
from ropewalk.sim.link import Handovers, LinkProfile
from ropewalk.sim.loss import GilbertElliott
from ropewalk.sim.middlebox import Middlebox
from ropewalk.sim.nat import Nat
from ropewalk.sim.network import Network
from ropewalk.sim.queues import EcnThreshold
from ropewalk.sim.rate_trace import RateTrace
from tests.hash_seeds import prints_under_hash_seeds
from tests.sim.wires import FOURTH, ONE, OTHER, THIRD, End

WILD = LinkProfile(
    rate=1e6,
    delay=0.01,
    loss=0.01,
    reordering=0.02,
    duplication=0.02,
    corruption=0.02,
    jitter=0.002,
    loss_model=GilbertElliott(to_bad=0.01, to_good=0.3),
    handovers=Handovers(period=0.5, gap=0.01, delay_spread=0.01),
    outages=((0.7, 0.8),),
)
PROFILES = {
    "drop-tail": WILD,
    "threshold": replace(WILD, queue=EcnThreshold(low=5, high=20)),
    "codel": replace(WILD, queue=CoDel()),
    "fq-codel": replace(WILD, queue=FqCoDel(flows=7)),
    "dualpi2": replace(WILD, queue=DualPi2()),
    "trace": LinkProfile(trace=RateTrace((3, 4, 4, 9)), loss=0.01, jitter=0.01),
}


def trace(name, seed=1):
    """Two flows, one of them behind a NAT and a middlebox, over one link; their trace."""
    network = Network(seed)
    ends = {address: End(network, address) for address in (ONE, OTHER, THIRD, FOURTH)}
    link = network.link(PROFILES[name], "shared")
    network.route(ONE.ip, OTHER.ip, [Nat("203.0.113.1"), Middlebox(largest=1300), link])
    network.route(THIRD.ip, FOURTH.ip, [link])
    for number in range(1500):
        ends[ONE].send(OTHER, bytes(400 + number), number % 4, number * 0.0015)
        ends[THIRD].send(FOURTH, bytes(1200), number % 3, number * 0.0017)
    network.clock.run_until(5.0)
    assert link.counters.delivered > 500
    return network.trace()


@pytest.mark.parametrize("name", PROFILES)
def test_a_seed_repeats_and_another_one_differs(name):
    assert trace(name) == trace(name)
    assert trace(name) != trace(name, seed=2)


def test_another_process_with_other_hash_seeds_repeats_all_of_them():
    program = "from tests.sim.test_repeats import *; print([trace(name) for name in PROFILES])"
    assert prints_under_hash_seeds(program) == {str([trace(name) for name in PROFILES])}


def test_the_traces_are_those_of_every_build():
    # Interpreted or compiled, on any machine: only another model of the network has others.
    assert {name: trace(name)[:16] for name in PROFILES} == {
        "drop-tail": "ecd42179f0a7ec25",
        "threshold": "c820a6367a05fa24",
        "codel": "3e46deae5761911f",
        "fq-codel": "1e78bacb2f62f018",
        "dualpi2": "57009cc3fc631d25",
        "trace": "691096407347eb33",
    }
