"""A miss is told in words, whatever the tokenizer makes of its tokens."""

from __future__ import annotations

import pytest

from engine.prefix_cache.interface import MissAt
from engine.scheduling.requests.validation import miss_in_words, segment_at
from engine.wire.feed import Miss
from tests.engine.model_thread import ask

MISS = MissAt("diverged", 3, before=(1, 2), now=(1, 3))


def test_both_sides_are_decoded_and_shortened() -> None:
    words = miss_in_words(MISS, "tools", lambda tokens: "x" * 100 if 3 in tokens else "short")
    assert words == Miss("diverged", 3, "tools", before="short", now="x" * 39 + "…")


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (" " * 60 + "x = 1", " " * 60 + "y = 2", ("…" + " " * 15 + "x = 1", "…" + " " * 15 + "y = 2")),
        ("a" * 50, "a" * 50 + "b", ("…" + "a" * 15, "…" + "a" * 15 + "b")),
        ("same " * 10, "same " * 10, (("same " * 10)[:39] + "…",) * 2),
        ("a" * 20 + "b", "a" * 20 + "c", ("a" * 20 + "b", "a" * 20 + "c")),
    ],
)
def test_what_differs_is_shown_however_much_is_alike_before_it(
    before: str, now: str, shown: tuple[str, str]
) -> None:
    words = miss_in_words(MISS, "tools", lambda tokens: now if 3 in tokens else before)
    assert (words.before, words.now) == shown


def as_utf8(tokens: list[int]) -> str:
    return bytes(tokens).decode(errors="replace")


@pytest.mark.parametrize(
    ("position", "before", "now", "shown"),
    [
        (9, "語語語日語語語語語".encode()[1:23], "語語語日誤".encode()[1:], ("語語日語語語", "語語日誤")),
        (9, b"\xe8 one", b"\xe8", (" one", "")),
        (3, b"abcdef\xe8", b"abc\xe8", ("abcdef\ufffd", "abc\ufffd")),  # not cut: the text itself ends so
        (0, b"\xe8abc", b"abc", ("\ufffdabc", "abc")),
    ],
)
def test_a_character_that_is_split_at_the_edge_is_left_out(
    position: int, before: bytes, now: bytes, shown: tuple[str, str]
) -> None:
    words = miss_in_words(MissAt("diverged", position, tuple(before), tuple(now)), "tools", as_utf8)
    assert (words.before, words.now) == shown


def test_a_tokenizer_that_fails_costs_the_words_and_nothing_else() -> None:
    def fail(tokens: list[int]) -> str:
        raise KeyError(tokens[0])

    assert miss_in_words(MISS, "tools", fail) == Miss("diverged", 3, "tools")


@pytest.mark.parametrize(
    ("position", "segment"),
    [
        (0, "system"),
        (4, "system"),
        (5, "message 1 (user)"),
        (8, "message 1 (user)"),
        (9, "the answer's beginning"),
    ],
)
def test_a_position_lies_in_the_segment_that_ends_behind_it(position: int, segment: str) -> None:
    request = ask(list(range(12)), 1, boundaries=(5, 9), segments=("system", "message 1 (user)"))
    assert segment_at(position, request) == segment


def test_without_names_segments_are_numbered() -> None:
    assert segment_at(6, ask(list(range(12)), 1, boundaries=(5, 9))) == "part 2 of 3"
    assert segment_at(6, ask(list(range(12)), 1)) == ""
