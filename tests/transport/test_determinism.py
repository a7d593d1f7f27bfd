"""The same seed gives the same packets, byte for byte and to the instant."""

from tests.hash_seeds import prints_under_hash_seeds
from tests.transport.transfers import link, transfer

WILD = link(
    loss=0.05,
    reordering=0.05,
    duplication=0.05,
    corruption=0.02,
    jitter=0.01,
    reordering_delay=0.01,
)


def trace(seed, **named):
    return transfer(WILD, seed=seed, download=300_000, upload=50_000, streams=5, **named).trace


def test_the_same_seed_repeats_the_whole_trace():
    assert trace(11) == trace(11)


def test_another_seed_gives_another_trace():
    assert trace(11) != trace(12)


def test_watching_changes_nothing():
    assert trace(11, witness=False, oracles=()) == trace(11)


def test_another_process_with_other_hash_seeds_repeats_the_trace():
    # A set or dict order that reaches the wire would differ from process to process.
    program = "from tests.transport.test_determinism import trace; print(trace(11))"
    assert prints_under_hash_seeds(program) == {trace(11)}
