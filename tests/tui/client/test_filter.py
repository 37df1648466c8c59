from __future__ import annotations

import pytest

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
        ("!", True),
    ],
)
def test_all_words_must_occur_and_none_of_the_unwanted(query: str, fits: bool) -> None:
    assert matcher(query)("main read /etc/hosts") is fits
