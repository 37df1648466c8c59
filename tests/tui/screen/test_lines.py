"""Lines of spans: fitting, bars, histories."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tui.screen.lines import Line, bar, beside, big, facts, fit, graph, line_width, plain, spread, strip

SPANS: st.SearchStrategy[Line] = st.lists(
    st.tuples(st.text("ab 全é", max_size=8), st.sampled_from(["", "muted"])), max_size=6
)


@given(SPANS, st.integers(0, 30), st.sampled_from(["left", "right"]))
def test_a_fitted_line_has_exactly_its_width(line: Line, cells: int, align: str) -> None:
    assert line_width(fit(line, cells, align)) == cells


def test_what_is_cut_shows_it_and_blanks_are_not_missed() -> None:
    assert plain(fit([("abc", ""), ("def", "")], 5)) == "abcd…"
    assert plain(fit([("abc", ""), ("def", "")], 3)) == "ab…"
    assert plain(fit([("abc", ""), ("   ", "")], 3)) == "abc"
    assert plain(fit([("7", "")], 3, "right")) == "  7"


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=5), st.integers(0, 60))
def test_a_bar_has_its_width_whatever_the_shares(shares: list[float], cells: int) -> None:
    assert line_width(bar([(share, "reused") for share in shares], cells)) == cells


def test_a_share_that_is_not_zero_can_be_seen() -> None:
    assert bar([(0.001, "reused"), (0.5, "prefill")], 10) == [
        ("━", "reused"),
        ("━━━━", "prefill"),
        ("━━━━━", "track"),
    ]


@given(
    st.lists(st.none() | st.floats(), max_size=40),
    st.integers(0, 30),
    st.integers(1, 4),
    st.none() | st.floats(0.1, 10),
)
@example([-8e136, -3e-171], 2, 1, None)
@example([1.7e308], 1, 1, 0.1)
def test_a_history_has_its_size(values: list[float | None], cells: int, rows: int, top: float | None) -> None:
    lines = graph(values, cells, rows, "ok", top)
    assert [line_width(line) for line in lines] == [cells] * rows


def test_a_history_ends_with_the_newest() -> None:
    assert plain(strip([None, 0.0, 4.0, 8.0], 5, "ok")) == "··▁▄█"
    assert [plain(line) for line in graph([8.0, 4.0, 1.0], 3, 2, "ok")] == ["█  ", "██▂"]


def test_blocks_stand_beside_each_other() -> None:
    lines = beside([[("a", "")]], [[("b", "")], [("c", "")]], 3, 1)
    assert [plain(line) for line in lines] == ["a   b", "    c"]


def test_facts_are_aligned_and_empty_ones_left_out() -> None:
    lines = facts([("pid", [("12", "")]), ("last exit", []), ("uptime", [("4s", "")])], 20)
    assert [plain(line).rstrip() for line in lines] == ["pid     12", "uptime  4s"]


def test_the_right_end_wins_when_there_is_no_room() -> None:
    assert plain(spread([("a long title", "")], [("note", "")], 14)) == "a long t… note"
    assert [plain(line) for line in big("1.0%", "ok")] == ["╺┓  ┏━┓ ", " ┃  ┃ ┃ ", "╺┻╸•┗━┛%"]
