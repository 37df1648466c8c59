from __future__ import annotations

import pytest

from proxy.filters.terms import FilterError
from tui.client.filter import matcher


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", True),
        ("read", True),
        ("READ main", True),
        ("read sub", False),
        ("!sub", True),
        ("read !main", False),
        ('"main read"', True),
        ('"read main"', False),
        ('!"main read"', False),
    ],
)
def test_all_words_must_occur_and_none_of_the_unwanted(query: str, fits: bool) -> None:
    assert matcher(query)(None, "main read /etc/hosts") is fits


@pytest.mark.parametrize("query", ["!", '"main', "tool:"])
def test_a_filter_that_is_not_whole_is_an_error(query: str) -> None:
    with pytest.raises(FilterError):
        matcher(query)
