"""What the user may type next."""

from __future__ import annotations

import pytest

from proxy.filters.completion import completions
from proxy.filters.terms import FIGURES, KEYS

KNOWN = {"tool": ["Read", "Write", "mcp__a b"], "session": ["9f3c1e", "9c4598"]}


@pytest.mark.parametrize(
    ("query", "offered"),
    [
        ("to", ["main to", "tool:", "took", "tokens"]),
        ("main to", ["main tool:", "main took", "main tokens"]),
        ("!is:fa", ["!is:failed"]),
        ("lane:m", ["lane:main"]),
        ("tool:r", ["tool:Read"]),
        ("tool:Read,w", ["tool:Read,Write"]),
        ("tool:mcp", ['tool:"mcp__a b"']),
        ("session:9", ["session:9f3c1e", "session:9c4598"]),
        ("since:to", ["since:today"]),
        ("is:failed", []),
        ("xyz", []),
        ('"some to', []),
    ],
)
def test_the_last_word_is_completed(query: str, offered: list[str]) -> None:
    found = [completion.query for completion in completions(query, KNOWN)]
    assert found == [option for option in offered if option != "main to"]


def test_an_empty_word_shows_what_there_is() -> None:
    words = [completion.word for completion in completions("main ", most=99)]
    assert words == [f"{key.name}:" for key in KEYS] + [figure.name for figure in FIGURES]
