"""Thinking ends at its cap with the model's own mark, whatever it writes and whatever else holds it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.constrained.answer_grammar import AnswerRules
from engine.constrained.grammar import Grammars
from engine.constrained.thinking_cap import Guide, ThinkingMarks, thinking_marks_of
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.quoted.thinking_marks import HARMONY_START
from engine.tool_calls.schemas.tools import ToolSchema
from engine.wire.thinking_budget import within_limit
from tests.engine.byte_tokens import ByteTokens

TOKENS = ByteTokens()
GRAMMARS = Grammars(TOKENS, TOKENS.eos)
THINK = ("<think>", "</think>")
READ = ToolSchema("read", {"type": "object", "properties": {"a": {"type": "string"}}})
RULES = {
    "free": None,
    "calls": AnswerRules(family=family_named("hermes"), tools=(READ,), marks=THINK, thinking=THINK),
    "required": AnswerRules(
        family=family_named("hermes"), tools=(READ,), choice="required", marks=THINK, thinking=THINK
    ),
    "json": AnswerRules(schema={"type": "object", "properties": {"a": {"type": "integer"}}}, thinking=THINK),
}
SLACK = 8 + 3 + len("\n[/THINK]")  # for half a character, and for the mark itself


def marks(start: str = "<think>", end: str = "</think>", eos: frozenset[int] = TOKENS.eos) -> Any:
    return thinking_marks_of(
        (start, end),
        ("<|im_start|>",),
        encode=TOKENS.spelled,
        vocabulary=TOKENS._plain.get_vocab(),
        spelling=lambda token: GRAMMARS.spelling[token],
        vocab_size=len(GRAMMARS.spelling),
        eos=eos,
    )


def guide_of(name: str, cap: int, *, opens: bool, form: ThinkingMarks | None = None) -> Guide:
    rules = RULES[name]
    inner = None if rules is None else GRAMMARS.compile(replace(rules, opens_thinking=opens)).guide()
    return (form or marks()).cap(cap, opens_thinking=opens).guide(inner)


def allowed(guide: Guide) -> set[int] | None:
    """The tokens that may come next; None for any."""
    mask = np.zeros((1, (guide.vocab_size + 31) // 32), np.int32)
    if not guide.fill(mask):
        return None
    bits = np.unpackbits(mask.view(np.uint8), axis=1, bitorder="little")[0]
    return set(np.flatnonzero(bits).tolist())


def written(guide: Guide, wishes: list[int], most: int = 400) -> list[int]:
    """What a model writes that wants `wishes`, over and over, and takes another token where it may not."""
    chance, tokens = random.Random(len(wishes)), []
    for number in range(most):
        may = allowed(guide)
        token = wishes[number % len(wishes)]
        if may is not None and token not in may:
            token = chance.choice(sorted(may))
        if token in TOKENS.eos:
            break
        tokens.append(token)
        guide.advance(token)
    return tokens


WORDS = st.lists(
    st.sampled_from(
        ["hm ", "é", "日本", "\n", "<", "</th", "hello", "`x`", "<tool_call>", "🎉", "[", "\n\n"]
    ),
    min_size=1,
    max_size=6,
).map("".join)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=40)
@given(said=WORDS, cap=st.integers(0, 40))
@example(said="🎉</th</th", cap=5)
def test_a_thought_that_never_ends_is_ended_at_its_cap(name: str, said: str, cap: int) -> None:
    guide = guide_of(name, cap, opens=True)
    text = TOKENS.text(written(guide, TOKENS.bytes_only(said), cap + 60))
    thought, mark, _ = text.partition("</think>")
    assert mark
    assert "\ufffd" not in thought
    assert len(TOKENS.bytes_only(thought)) <= cap + SLACK
    assert thought.endswith("\n")
    assert guide.failure == ""
    assert guide.capped_thought >= cap


@settings(max_examples=15)
@given(said=WORDS, cap=st.integers(0, 30), opens=st.booleans(), data=st.data())
def test_guesses_that_are_taken_back_leave_no_trace(said: str, cap: int, opens: bool, data: Any) -> None:
    guide, plain = (guide_of("calls", cap, opens=opens) for _ in range(2))
    wishes = TOKENS.spelled(("" if opens else "<think>") + said)
    for number in range(60):
        guesses = data.draw(st.lists(st.sampled_from([*wishes, *TOKENS.spelled("</think>")]), max_size=3))
        taken = 0
        for guess in guesses:
            may = allowed(guide)
            if may is not None and guess not in may:
                break
            guide.advance(guess)
            taken += 1
        guide.rewind(taken)
        may = allowed(plain)
        assert allowed(guide) == may
        token = wishes[number % len(wishes)]
        token = token if may is None or token in may else min(may)
        if token in TOKENS.eos:
            break
        guide.advance(token)
        plain.advance(token)


@given(st.lists(WORDS, max_size=3).map("".join), st.integers(0, 20))
def test_an_answer_that_does_not_think_is_not_touched(said: str, cap: int) -> None:
    guide = guide_of("free", cap, opens=False)
    for token in TOKENS.bytes_only(f"x{said}<think>{said}"):
        assert allowed(guide) is None
        guide.advance(token)
    assert guide.over


@pytest.mark.parametrize(
    ("answer", "opens", "capped"),
    [
        ("short</think>\n\nThe answer", True, 0),
        ("short</think>\n\n<think>\nand on and on and on", True, 20),
        ("<think>\nit goes on and on and on", False, 20),
        ("\n <|im_start|>\n<think>it goes on and on", False, 20),
        ("The answer <think>is a mark that goes on and on", False, 0),
    ],
)
def test_the_cap_counts_all_thinking_before_the_first_word(answer: str, opens: bool, capped: int) -> None:
    guide = guide_of("free", 20, opens=opens)
    written(guide, TOKENS.spelled(answer), 60)
    assert guide.capped_thought == capped


def test_no_second_thought_follows_one_that_was_ended() -> None:
    guide = guide_of("free", 2, opens=True)
    for token in TOKENS.spelled("hm\n</think>"):
        guide.advance(token)
    (again,) = TOKENS.spelled("<think>")
    may = allowed(guide)
    assert may is not None
    assert again not in may
    assert set(TOKENS.bytes_only("The answer")) <= may
    guide.advance(TOKENS.bytes_only("T")[0])
    assert guide.over


@pytest.mark.parametrize(
    ("start", "end"),
    [*[THINK], ("[THINK]", "[/THINK]"), (HARMONY_START, "<|end|>"), ("<|channel>thought", "<channel|>")],
)
def test_marks_of_several_tokens_end_a_thought_whole(start: str, end: str) -> None:
    guide = guide_of("free", 9, opens=True, form=marks(start, end))
    text = TOKENS.text(written(guide, TOKENS.bytes_only("abc"), 60))
    assert text.partition(end)[0].strip() == "abcabcabc"
    assert text.partition(end)[2].startswith(("a", "b", "c"))


def test_a_mark_that_would_end_the_answer_is_not_forced() -> None:
    assert marks("<|open|>", "<|im_end|>") is None


@given(st.integers(0, 1 << 18), st.integers(1, 1 << 18))
def test_an_answer_has_room_behind_its_thinking(budget: int, limit: int) -> None:
    tokens = within_limit(budget, limit)
    assert tokens <= budget
    assert limit - tokens >= min(limit // 4, 4096)
    assert tokens == budget or limit - tokens == min(limit // 4, 4096)


def test_an_answer_goes_on_where_it_was() -> None:
    cap = marks().cap(6, opens_thinking=True)
    begun = TOKENS.bytes_only("abcdef")
    assert allowed(cap.guide(None, begun)) == {TOKENS.spelled("\n")[0]}
