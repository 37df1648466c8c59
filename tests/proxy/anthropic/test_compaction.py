"""When Claude Code compacts, and how fast a conversation goes there."""

from __future__ import annotations

import pytest

from proxy.anthropic.compaction import compacts_at, growth


@pytest.mark.parametrize(("output", "tokens"), [(8_000, 179_000), (20_000, 167_000), (64_000, 167_000)])
def test_it_keeps_room_for_an_answer_of_a_bounded_length(output: int, tokens: int) -> None:
    assert compacts_at(200_000, output) == tokens


@pytest.mark.parametrize(
    ("prompts", "tokens"),
    [
        ([], None),
        ([500], None),
        ([500, 400], None),  # a compaction
        ([100, 200, 500], 200),  # between 100 and 300
        ([0, 90, 180, 270, 360, 450, 451, 452, 453], 1),  # five: 90, 90, 1, 1, 1
        ([1000, 1100, 300, 300, 500, 900], 200),  # steps of 100, 200 and 400, and two that did not grow
    ],
)
def test_growth_is_the_median_of_the_last_five_turns_that_grew(
    prompts: list[int], tokens: int | None
) -> None:
    assert growth(prompts) == tokens
