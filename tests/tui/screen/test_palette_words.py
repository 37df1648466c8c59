"""What is found by the words that were typed, and what they are read as."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tui.screen.palette.offers import behind, has_words

WORDS = st.lists(st.text("abÄß ", max_size=4), max_size=4)
TEXTS = st.text("abÄß -", max_size=20).map(str.lower)


@given(TEXTS, WORDS, st.randoms())
def test_neither_order_nor_case_nor_gaps_of_the_words_matter(
    text: str, words: list[str], chance: Random
) -> None:
    found = has_words(text, " ".join(words))
    mixed = chance.sample(words, len(words))
    assert has_words(text, "  ".join([*mixed, ""])) == found
    assert has_words(text, " ".join(words).lower()) == found


@given(TEXTS, WORDS, WORDS)
def test_each_further_word_finds_less(text: str, words: list[str], more: list[str]) -> None:
    both = has_words(text, " ".join([*words, *more]))
    assert both == (has_words(text, " ".join(words)) and has_words(text, " ".join(more)))


@given(TEXTS)
def test_a_text_is_found_by_itself_and_by_nothing_typed(text: str) -> None:
    assert has_words(text, text)
    assert has_words(text, "")


@given(st.sampled_from(["theme", "set"]), st.sampled_from(["", " ", "\t"]), st.text(max_size=12))
def test_a_value_is_what_stands_behind_its_word(verb: str, gap: str, value: str) -> None:
    assert behind(f"{gap}{verb.upper()} {value}", "theme", "set") == value.strip()
    assert behind(f"{verb}s {value}", "theme", "set") is None
    assert behind(verb, "theme", "set") == ""
