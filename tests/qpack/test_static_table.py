"""The static table against RFC 9204 appendix A."""

from __future__ import annotations

from ropewalk.http3.qpack.static_table import STATIC_FIELDS, STATIC_NAMES, STATIC_SIZE
from tests.qpack.samples import load

ENTRIES = [
    (name.encode(), value.encode()) for name, value in load("rfc9204_static_table.json")["entries"]
]


def test_the_table_is_that_of_the_rfc() -> None:
    assert STATIC_FIELDS == ENTRIES
    assert len(ENTRIES) == STATIC_SIZE


def test_every_field_is_found_by_name_and_value() -> None:
    for index, (name, value) in enumerate(ENTRIES):
        assert STATIC_NAMES[name].values[value] == index
        assert STATIC_NAMES[name].index == [known for known, _ in ENTRIES].index(name)
    assert sum(len(name.values) for name in STATIC_NAMES.values()) == STATIC_SIZE
