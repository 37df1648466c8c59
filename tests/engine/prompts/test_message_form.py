"""Templates that show a part of what they are given show all of it in another form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.prompts.message_form import TurnsAlone, with_texts_placed
from engine.prompts.probing.adaptations import adaptations
from engine.prompts.rendering import PromptRenderer
from tests.engine.template_shapes import Templated

Message = dict[str, Any]

LAST = """\
{%- if messages[0].role != 'system' -%}{{- '<|im_start|>system\\nBe good.<|im_end|>\\n' -}}{%- endif -%}
{%- for m in messages -%}{%- if loop.last or m.role == 'system' -%}
{{- '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' -}}
{%- endif -%}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
ONE = "{{- '### Question:\\n' ~ messages[-1].content ~ '\\n### Answer:\\n' -}}"
SAID = [
    {"role": "user", "content": "question"},
    {"role": "assistant", "content": "answer"},
    {"role": "user", "content": "again"},
]


def test_turns_stand_behind_each_other_without_what_comes_before_the_first(tokenizer: Any) -> None:
    renderer = PromptRenderer(Templated(tokenizer, LAST))
    assert renderer.render(SAID).text == (
        "<|im_start|>system\nBe good.<|im_end|>\n<|im_start|>user\nquestion<|im_end|>\n"
        "<|im_start|>assistant\nanswer<|im_end|>\n<|im_start|>user\nagain<|im_end|>\n<|im_start|>assistant\n"
    )
    ruled = renderer.render([{"role": "system", "content": "rules"}, *SAID]).text
    assert "Be good." not in ruled
    assert ruled.startswith("<|im_start|>system\nrules")


def test_an_answer_is_no_question_of_a_template_that_shows_only_questions(tokenizer: Any) -> None:
    renderer = PromptRenderer(Templated(tokenizer, ONE))
    end = tokenizer.eos_token
    assert renderer.render(SAID).text == (
        f"### Question:\nquestion\n### Answer:\nanswer{end}### Question:\nagain\n### Answer:\n"
    )
    assert any("one by one" in note for note in renderer.render(SAID).notes)
    assert any("one by one" in told for told in adaptations(renderer.traits))


def _shortened(messages: Sequence[Message], tools: Any, **_: Any) -> str:
    return "|".join(f"{m['role']}: {m['content'][:30]}" for m in messages)


def test_texts_are_put_in_afterwards_and_short_ones_are_seen() -> None:
    seen: list[str] = []

    def render(messages: Sequence[Message], tools: Any, **options: Any) -> str:
        seen.extend(m["content"] for m in messages)
        return _shortened(messages, tools)

    long = "a long text of many words \\1 " * 9
    sent = [{"role": "user", "content": "short"}, {"role": "tool", "content": long}]
    assert with_texts_placed(render)(sent, None) == f"user: short|tool: {long}"
    assert "short" in seen
    assert long not in seen


def test_answers_that_look_like_questions_are_refused() -> None:
    alone = TurnsAlone(
        lambda messages, tools, **_: str(messages[-1]["content"]), lambda text: iter(()), "", "</s>"
    )
    with pytest.raises(ValueError, match="answers as questions"):
        alone.render(False, SAID, None)
    assert alone.render(True, SAID, None) == "questionanswer</s>again"


@pytest.mark.parametrize("comment", ["", "{#- anyclaude: a selection -#}"])
def test_a_template_may_say_that_it_selects(tokenizer: Any, comment: str) -> None:
    renderer = PromptRenderer(Templated(tokenizer, comment + LAST))
    text = renderer.render(SAID).text
    assert ("question" in text) is not bool(comment)
    assert any("on purpose" in told for told in adaptations(renderer.traits)) is bool(comment)
