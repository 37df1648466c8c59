"""Which marks a model puts around its thinking, and whether its prompt ends within them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.prompts.model_forms import opens_thinking, thinking_marks
from engine.tool_calls.quoted.thinking_marks import THINKING_FORMATS, THINKING_MARKS


def tokenizer(template: str = "", *tokens: str, **more: Any) -> Any:
    return SimpleNamespace(chat_template=template, get_vocab=lambda: dict.fromkeys(tokens, 1), **more)


@pytest.mark.parametrize(("start", "ends"), THINKING_MARKS.items())
def test_a_models_thinking_marks_are_among_its_tokens_or_in_its_template(
    start: str, ends: tuple[str, ...]
) -> None:
    assert thinking_marks(tokenizer("", start, *ends)) == (start, ends[0])
    assert thinking_marks(tokenizer(f"{{{{ '{start}' }}}} {{{{ '{ends[0]}' }}}}")) == (start, ends[0])
    assert thinking_marks(tokenizer(start)) is None


@pytest.mark.parametrize(("name", "start"), THINKING_FORMATS.items())
def test_a_format_that_is_named_comes_before_all(name: str, start: str) -> None:
    theirs: dict[str, Any] = {"has_thinking": True, "think_start": "<a>", "think_end": "</a>"}
    assert thinking_marks(tokenizer("<think></think>", **theirs), name) == (start, THINKING_MARKS[start][0])


def test_each_opening_mark_of_thinking_has_a_name() -> None:
    assert sorted(THINKING_FORMATS.values()) == sorted(THINKING_MARKS)
    with pytest.raises(ValueError, match="no thinking format 'muse'; known are apertus"):
        thinking_marks(tokenizer(), "muse")


def test_what_mlx_lm_knows_of_a_model_comes_first() -> None:
    known = tokenizer("", "[THINK]", "[/THINK]", has_thinking=True, think_start="<a>", think_end="</a>")
    assert thinking_marks(known) == ("<a>", "</a>")


def test_the_templates_thinking_marks_come_before_those_of_the_base_model() -> None:
    ours = ("<mm:think>", "</mm:think>")
    theirs: dict[str, Any] = {"has_thinking": True, "think_start": "<think>", "think_end": "</think>"}
    tokens = ("<think>", "</think>", *ours)
    assert thinking_marks(tokenizer("x".join(ours), *tokens, **theirs)) == ours
    for template in ("", "no marks", "</think>".join(ours), "<mm:think>"):
        assert thinking_marks(tokenizer(template, *tokens, **theirs)) == ("<think>", "</think>")
    assert thinking_marks(tokenizer("x".join(ours), *tokens[:2], **theirs)) == ("<think>", "</think>")


@pytest.mark.parametrize(
    ("prompt", "opening", "opens"),
    [
        ("hi<|assistant|><seed:think>", "", True),
        ("hi<|assistant|><seed:think>\n", "", True),
        ("hi<|assistant|>", "", False),
        ("hi<|assistant|><seed:think>\n\n</seed:think>\n\n", "<seed:think>\n\n</seed:think>\n\n", False),
        ("hi<|assistant|><seed:think>\nOkay, ", "<seed:think>\nOkay, ", True),
        ("what is <seed:think><|end|>\n<|assistant|>", "", False),
    ],
)
def test_a_prompt_may_end_within_thinking(prompt: str, opening: str, opens: bool) -> None:
    assert opens_thinking(prompt, ("<seed:think>", "</seed:think>"), opening) == opens
    assert not opens_thinking(prompt, None, opening)
