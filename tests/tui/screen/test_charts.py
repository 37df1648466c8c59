"""Charts: bars, graphs and sparklines of exact sizes, large digits."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tui.screen.charts import bar, big_digits, graph, sparkline
from tui.screen.styled_line import line_width, plain_text


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=5), st.integers(0, 60))
def test_a_bar_has_its_width_whatever_the_shares(shares: list[float], cells: int) -> None:
    assert line_width(bar([(share, "restored") for share in shares], cells)) == cells


def test_a_share_above_zero_takes_at_least_one_cell() -> None:
    assert bar([(0.001, "restored"), (0.5, "prefill")], 10) == [
        ("█", "area.restored"),
        ("▒▒▒▒", "prefill"),
        ("░░░░░", "track"),
    ]


def test_the_parts_of_a_bar_differ_without_colour() -> None:
    shares = [(0.3, "restored"), (0.3, "prefill"), (0.2, "neutral")]
    assert plain_text(bar(shares, 10)) == "███▒▒▒░░░░"
    assert plain_text(bar([(0.2, "lane.main"), (0.2, "decode")], 6, rest="", shapes="█▓")) == "█▓    "


@given(
    st.lists(st.none() | st.floats(), max_size=40),
    st.integers(0, 30),
    st.integers(1, 4),
    st.none() | st.floats(0.1, 10),
)
@example([-8e136, -3e-171], 2, 1, None)
@example([1.7e308], 1, 1, 0.1)
def test_a_graph_has_its_size(values: list[float | None], cells: int, rows: int, top: float | None) -> None:
    lines = graph(values, cells, rows, "ok", top)
    assert [line_width(line) for line in lines] == [cells] * rows


def test_a_sparkline_ends_with_the_newest_value() -> None:
    assert plain_text(sparkline([None, 0.0, 4.0, 8.0], 5, "ok")) == "··▁▄█"
    assert [plain_text(line) for line in graph([8.0, 4.0, 1.0], 3, 2, "ok")] == ["█  ", "██▂"]


def test_large_digits_are_three_lines_high() -> None:
    assert [plain_text(line) for line in big_digits("1.0%", "ok")] == ["╺┓  ┏━┓ ", " ┃  ┃ ┃ ", "╺┻╸•┗━┛%"]
