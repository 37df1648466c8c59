from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.screen.panes import cache, session_tree, streams, tools, traces
from tui.screen.widgets.columns import GAP, Column, lay_out

ALL = (session_tree.COLUMNS, streams.TURNS, cache.PROMPTS, cache.MISSES, tools.COLUMNS, traces.columns({}))


@pytest.mark.parametrize("columns", ALL)
@given(cells=st.integers(1, 400))
def test_columns_never_take_more_than_there_is(columns: tuple[Column[object], ...], cells: int) -> None:
    layout = lay_out(columns, cells)
    assert layout
    assert sum(width for _, width in layout) + GAP * (len(layout) - 1) <= cells
    for column, width in layout:
        assert width >= 1
        assert len(layout) == 1 or width >= column.minimum
        assert not column.most or width <= column.most


def test_the_least_important_goes_first_and_the_rest_keeps_its_order() -> None:
    ranks = {"a": 0, "b": 2, "c": 1}
    columns = [Column[int](title, lambda row, now, cells: [], 10, rank=rank) for title, rank in ranks.items()]
    assert [column.title for column, _ in lay_out(columns, 40)] == ["a", "b", "c"]
    assert [column.title for column, _ in lay_out(columns, 30)] == ["a", "c"]
    assert [column.title for column, _ in lay_out(columns, 5)] == ["a"]


def test_what_is_left_over_goes_to_those_that_grow() -> None:
    columns = [
        Column[int]("a", lambda row, now, cells: [], 10),
        Column[int]("b", lambda row, now, cells: [], 10, grow=1, most=15),
        Column[int]("c", lambda row, now, cells: [], 10, grow=1),
    ]
    assert [width for _, width in lay_out(columns, 64)] == [10, 15, 35]
