"""The drawing of a context budget: it fits whatever the figures are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.traces.analysis.context_facts import ContextBudget, ContextPart, ContextTurn
from tui.screen.screens.context import growth_lines, growth_note, window_lines
from tui.screen.styled_line import line_width, plain_text


def budget(prompt: int, window: int, limit: int | None, turns: int = 1) -> ContextBudget:
    return ContextBudget(
        session="s",
        trace="req_1",
        time=0.0,
        lane="main",
        prompt_tokens=prompt,
        window_tokens=window,
        compacts_at=limit,
        turn=turns,
        turns=[ContextTurn(trace=f"req_{one}", time=0.0, prompt_tokens=prompt) for one in range(turns)],
        parts=[
            ContextPart(name="tools", tokens=prompt // 4),
            ContextPart(name="said", tokens=prompt * 3 // 4),
        ],
    )


@pytest.mark.parametrize(
    ("found", "drawn", "scale"),
    [
        (budget(40, 100, 80), "█" * 10 + "■" * 30 + " " * 40 + "┊", "compacts at 80 ┊"),
        (budget(90, 100, 80), "█" * 22 + "■" * 67, "compacts at 80 ┊"),  # over it
        (budget(100, 0, None), "█" * 25 + "■" * 75, "0"),
    ],
)
def test_the_window_is_a_bar_with_the_mark_of_compaction(
    found: ContextBudget, drawn: str, scale: str
) -> None:
    bar, below = (plain_text(line) for line in window_lines(found, 102))
    assert bar.strip() == drawn
    assert below.rstrip().endswith(scale) or scale in below


@settings(max_examples=30)
@given(
    prompt=st.integers(0, 10**7),
    window=st.integers(0, 10**6),
    limit=st.none() | st.integers(0, 10**6),
    turns=st.integers(1, 300),
    cells=st.integers(12, 120),
)
def test_the_drawing_fits_whatever_the_figures_are(
    prompt: int, window: int, limit: int | None, turns: int, cells: int
) -> None:
    found = budget(prompt, window, limit, turns)
    lines = [*window_lines(found, cells), *growth_lines(found, cells, 5)]
    assert len(lines) == 7
    assert max(map(line_width, lines)) <= cells


@pytest.mark.parametrize("turns", [2, 50, 51, 300])
def test_growth_is_that_of_the_whole_session_however_many_turns_it_has(turns: int) -> None:
    found = budget(100, 200, None, turns)
    for number, turn in enumerate(found.turns, 1):
        turn.prompt_tokens = number
    found.turns[turns // 2].prompt_tokens = turns  # before a compaction: one turn of many
    drawn = [plain_text(line)[9:] for line in growth_lines(found, 60, 8)]
    top = [at for at, sign in enumerate(drawn[0]) if sign == "█"]
    assert len(drawn[0]) // 2 - 2 <= top[0] <= len(drawn[0]) // 2 + 1
    assert drawn[-2][0] != "█" or turns == 2


def test_growth_ends_below_the_line_of_compaction_and_names_the_turns() -> None:
    found = budget(60, 100, 80, turns=4)
    for number, turn in zip((2, 3, 7, 12), found.turns, strict=True):
        turn.number = number
    lines = [plain_text(line) for line in growth_lines(found, 62, 6)]
    assert lines[0] == f"     80 ┊{'┄' * 41} compaction"
    assert lines[-1].split() == ["turn", "2", "3", "7", "12"]
    assert [lines[-1].index(f" {number}") - 9 for number in (3, 7, 12)] == [11, 23, 35]
    assert len(lines) == 6
    assert plain_text(growth_note(found)) == "turns 2 to 12"
    assert growth_note(budget(60, 100, 80, turns=1)) == []
