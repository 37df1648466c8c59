from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.traces.redaction import leads

LEADS = ("ab", "b", "bca")


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leads, "_WINDOW", 5)


@given(st.text("abc", max_size=40))
def test_each_literal_is_found_where_it_begins_also_across_windows(text: str) -> None:
    begins = [at for at in range(len(text)) if text.startswith(LEADS, at)]
    assert list(leads.places(text, LEADS)) == begins


@given(st.text("abc", max_size=40))
def test_a_search_from_leads_finds_what_a_search_from_everywhere_finds(text: str) -> None:
    pattern = re.compile(r"(?:ab|b|bca)c{0,9}")
    found = [match.span() for match in leads.matches(pattern, text, LEADS)]
    assert found == [match.span() for match in pattern.finditer(text)]


@given(st.text("ab- \\", max_size=60))
def test_long_words_are_found_by_their_beginnings(text: str) -> None:
    words = re.finditer(r"(?<![ab-])[ab-]{20,}", text)
    begins = [word.start() + (text[: word.start()].endswith("\\")) for word in words]
    assert list(leads.long_places(text, LEADS)) == [at for at in begins if text.startswith(LEADS, at)]
