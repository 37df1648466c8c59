"""One pattern finds the longest of many texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.prompts.encoding.text_pattern import longest_of

TEXTS = st.text("ab<|.", min_size=1, max_size=4)


@given(texts=st.lists(TEXTS, max_size=8), text=st.text("ab<|.", max_size=12), place=st.integers(0, 12))
def test_the_longest_text_at_a_position_is_found(texts: list[str], text: str, place: int) -> None:
    found = longest_of(texts).match(text, place)
    standing = [one for one in texts if place <= len(text) and text.startswith(one, place)]
    assert (found[0] if found else "") == max(standing, key=len, default="")


def test_a_common_beginning_is_tried_once() -> None:
    """Trying the alternatives one by one would take a minute for a prompt."""
    pattern = longest_of([f"<unused{number}>" for number in range(6000)])
    assert pattern.pattern.startswith("<unused(?:")
    assert pattern.pattern.count("<unused") == 1
    assert pattern.findall("<unused> <b> <" * 20_000 + "<unused77>") == ["<unused77>"]
