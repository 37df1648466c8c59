"""A model's thinking marks, and whether a prompt ends within thinking."""

from __future__ import annotations

from typing import Any

from engine.prompts.chat_template import template_of, template_text
from engine.tool_calls.families.template_probe import shown_thinking
from engine.tool_calls.quoted.thinking_marks import THINKING_MARKS, ends_inside, marks_named, marks_of_model


def thinking_marks(tokenizer: Any, named: str = "") -> tuple[str, str] | None:
    """The model's marks: those that its template shows, else those that mlx-lm knows, else known ones among
    its tokens or in its template.

    mlx-lm checks only the tokens. A fine-tune still has the marks of its base model among them, though its
    template may write others. `named` are those of that name (`--thinking-format`) instead.
    """
    if named:
        return marks_named(named)
    if (shown := shown_thinking(template_of(tokenizer))) is not None:
        return shown
    template, vocabulary = template_text(tokenizer), _vocabulary(tokenizer)
    if not getattr(tokenizer, "has_thinking", False):
        return marks_of_model(template, vocabulary)
    known = tokenizer.think_start, tokenizer.think_end
    if not any(mark in template for mark in known):
        for start, (end, *_) in THINKING_MARKS.items():
            if all(mark in template and mark in vocabulary for mark in (start, end)):
                return start, end
    return known


def opens_thinking(prompt: str, marks: tuple[str, str] | None, answer_opening: str | None) -> bool:
    """Whether an answer to `prompt` begins within thinking.

    `answer_opening` is what the template writes before an answer; it may open the thinking and add some
    words.
    """
    if marks is None:
        return False
    start, end = marks
    if ends_inside(prompt, [start]):
        return True
    opening = answer_opening or ""
    return start in opening and prompt.endswith(opening) and end not in opening[opening.rindex(start) :]


def _vocabulary(tokenizer: Any) -> Any:
    words = getattr(tokenizer, "get_vocab", None)
    return words() if words is not None else ()
