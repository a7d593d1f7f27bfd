"""The fuzz targets of ``fuzz/`` on every seed, and briefly under hypothesis.

``make fuzz`` gives them to atheris for longer; see docs/how-to/fuzz.md.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.seeds import TARGETS, harness, seeds

#: Inputs for each target; some set up two connections for each.
EXAMPLES = {"frames": 60, "http3_streams": 60, "packets": 60}


def changed(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """Seeds in which some bytes are replaced, inserted or taken away; or any bytes."""

    def change(drawn: tuple[bytes, list[tuple[int, int, bytes]]]) -> bytes:
        seed, edits = drawn
        data = bytearray(seed)
        for place, size, new in edits:
            start = place % (len(data) + 1)
            data[start : start + size] = new
        return bytes(data)

    edit = st.tuples(st.integers(0, 300), st.integers(0, 4), st.binary(max_size=4))
    edited = st.tuples(st.sampled_from(valid), st.lists(edit, min_size=1, max_size=4)).map(change)
    return st.one_of(edited, st.binary(max_size=200))


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_is_taken(target: str) -> None:
    fuzz = harness(target)
    for seed in seeds(target):
        fuzz(seed)


@pytest.mark.parametrize("target", TARGETS)
def test_changed_seeds_are_taken(target: str) -> None:
    fuzz = harness(target)

    @settings(
        derandomize=True,
        deadline=None,
        max_examples=EXAMPLES.get(target, 150),
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(changed(seeds(target)))
    def run(data: bytes) -> None:
        fuzz(data)

    run()


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_at_all_is_taken(target: str) -> None:
    for data in (b"", b"\x00", b"\xff"):
        harness(target)(data)
