"""How a model writes tool calls and thinking, and whether a prompt ends within thinking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.prompts.chat_template import template_of, template_text
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.families.template_probe import detected_family, opened_by, shown_thinking
from engine.tool_calls.quoted.thinking_marks import THINKING_MARKS, ends_inside, marks_named, marks_of_model
from engine.tool_calls.reading.family import Family


@dataclass(frozen=True, slots=True)
class ModelForms:
    """The family of a model's calls and the marks around its thinking; None where they are not known.

    `family_told`: the user has named the family, or prompts ask for it; its own template does not show it.
    `opening` is a mark with which the template opens answers, and which may begin a thought; empty for none.
    """

    family: Family | None
    thinking: tuple[str, str] | None
    family_told: bool = False
    opening: str = ""


def model_forms(tokenizer: Any, tool_format: str = "", thinking_format: str = "") -> ModelForms:
    """The forms that the chat template shows, or the tokens do; the formats name others instead.

    It renders the template some dozen times, so it is done once for each model.

    Raises:
        engine.tool_calls.families.registry.UnknownFamily: there is no family of that name.
    """
    if tool_format:
        family: Family | None = family_named(tool_format)
    else:
        family = detected_family(template_of(tokenizer), _vocabulary(tokenizer))
    thinking = thinking_marks(tokenizer, thinking_format)
    opening, end = opened_by(template_of(tokenizer))
    unknown = (
        not (end or thinking_format)
        and opening not in THINKING_MARKS
        and (thinking is None or opening not in thinking)
    )
    return ModelForms(family, thinking, bool(tool_format), opening if unknown else "")


def thinking_marks(tokenizer: Any, named: str = "") -> tuple[str, str] | None:
    """The model's marks: those that its template shows, else those with which it opens answers and up to
    which it leaves earlier ones out, else those that mlx-lm knows, else known ones among its tokens or in its
    template.

    mlx-lm checks only the tokens. A fine-tune still has the marks of its base model among them, though its
    template may write others. `named` are those of that name (`--thinking-format`) instead.
    """
    if named:
        return marks_named(named)
    if (shown := shown_thinking(template_of(tokenizer))) is not None:
        return shown
    opening, end = opened_by(template_of(tokenizer))
    if end:
        return opening, end
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
