"""The dynamic table: sizes, eviction, absolute indices (RFC 9204 3.2)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.http3.qpack.dynamic_table import DynamicTable


def test_a_new_table_takes_nothing() -> None:
    table = DynamicTable()
    assert not table.insert(b"", b"")
    assert (table.size, table.inserted, table.evicted) == (0, 0, 0)


def test_an_entry_costs_its_name_its_value_and_thirty_two() -> None:
    table = DynamicTable()
    table.set_capacity(32 + 7)
    assert not table.insert(b"name", b"size")
    assert table.insert(b"name", b"val")
    assert table.size == 39


def test_an_entry_that_does_not_fit_evicts_nothing() -> None:
    table = DynamicTable()
    table.set_capacity(64)
    assert table.insert(b"a", b"b")
    assert not table.insert(b"a", bytes(64))
    assert table.holds(0)


def test_the_oldest_entries_give_way() -> None:
    table = DynamicTable()
    table.set_capacity(3 * 34)
    for number in range(5):
        assert table.insert(b"n", b"%d" % number)
    assert [table.holds(i) for i in range(6)] == [False, False, True, True, True, False]
    assert table.field(2) == (b"n", b"2")
    table.set_capacity(34)
    assert (table.evicted, table.size) == (4, 34)
    table.set_capacity(0)
    assert (table.evicted, table.inserted, table.size) == (5, 5, 0)


@given(
    st.lists(
        st.one_of(st.integers(0, 2000), st.tuples(st.binary(max_size=40), st.binary(max_size=200))),
        max_size=200,
    )
)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_the_table_does_what_a_plain_list_does(steps: list[int | tuple[bytes, bytes]]) -> None:
    table = DynamicTable()
    table.set_capacity(500)
    capacity = 500
    model: list[tuple[bytes, bytes]] = []
    inserted = 0

    def size() -> int:
        return sum(len(name) + len(value) + 32 for name, value in model)

    for step in steps:
        if isinstance(step, int):
            capacity = step
            table.set_capacity(step)
        else:
            cost = len(step[0]) + len(step[1]) + 32
            assert table.insert(*step) == (cost <= capacity)
            if cost <= capacity:
                model.append(step)
                inserted += 1
        while size() > capacity:
            model.pop(0)
        assert (table.size, table.inserted) == (size(), inserted)
        assert [table.field(i) for i in range(table.evicted, table.inserted)] == model


def test_a_long_life_keeps_only_what_is_in_the_table() -> None:
    table = DynamicTable()
    table.set_capacity(20 * 40)
    for number in range(10_000):
        assert table.insert(b"n", b"%07d" % number)
        assert table.field(number) == (b"n", b"%07d" % number)
        assert table.field(table.evicted)[1] == b"%07d" % table.evicted
    assert table.inserted - table.evicted == 20
