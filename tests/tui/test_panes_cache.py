"""What the Cache pane says of a miss."""

from __future__ import annotations

from dataclasses import replace

from tui.panes.cache import miss_lines
from tui.records import MissRecord

MISS = MissRecord(
    time=0.0,
    request="r1",
    session="s",
    lane="main",
    prompt_tokens=5000,
    reason="diverged",
    position=1200,
    before="stored text",
    now="new text",
    segment="message 2 (user)",
)


def text_of(miss: MissRecord) -> str:
    return "\n".join("".join(text for text, _ in line) for line in miss_lines(miss, 100))


def test_a_miss_is_placed_in_a_segment() -> None:
    assert "diverged at token 1,200 of 5,000, in message 2 (user): " in text_of(MISS)
    assert "of 5,000: " in text_of(replace(MISS, segment=""))


def test_what_is_cold_has_no_place() -> None:
    assert "message 2" not in text_of(replace(MISS, reason="cold", position=0))
