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


def test_template_tokens_are_one_sign_and_the_rest_shows_the_difference() -> None:
    words = {0: "<|end|>", 1: "<|user|>", 2: "user\n", 3: "Hello there", 4: "Who are you", 5: "?"}

    def decode(tokens: list[int]) -> str:
        return "".join(words[token] for token in tokens)

    miss = MissAt("diverged", 6, before=(5, 0, 1, 2, 3), now=(5, 0, 1, 2, 4))
    shown = miss_in_words(miss, "message 1 (user)", decode, {0, 1})
    assert (shown.before, shown.now) == ("? ⏎ Hello there", "? ⏎ Who are you")
    ended = miss_in_words(MissAt("diverged", 6, (5, 0, 1), (5, 4)), "", decode, {0, 1})
    assert (ended.before, ended.now) == ("? ⏎ ", "?Who are you")


def test_a_turn_that_begins_on_both_sides_is_not_shown() -> None:
    cold = miss_in_words(MissAt("cold", 0, (), (0, 1)), "", lambda tokens: "You are", {0})
    assert (cold.before, cold.now) == ("", "You are")


def test_a_position_has_its_name_else_its_number() -> None:
    named = ask(list(range(12)), 1, boundaries=(5, 9), name_at=lambda position: f"at {position}")
    assert segment_at(6, named) == "at 6"
    assert segment_at(6, ask(list(range(12)), 1, boundaries=(5, 9))) == "part 2 of 3"
    assert segment_at(6, ask(list(range(12)), 1)) == ""
