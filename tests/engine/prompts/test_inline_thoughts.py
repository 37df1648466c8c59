"""A thought at the start of an answer's text is thinking; its marks elsewhere are text."""

from __future__ import annotations

from typing import Any

import pytest

from engine.prompts.inline_thoughts import InlineThoughts
from engine.prompts.rendering import PromptRenderer
from tests.engine import tokenizer_kinds as kinds
from tests.engine.tokenizer_kinds import Marks

ASKED = {"role": "user", "content": "why?"}
MORE = {"role": "user", "content": "and?"}

# Like DeepSeek R1's: an answer's thinking is dropped, and it has no field.
DROPPING = """\
{%- for m in messages -%}{{- '<|im_start|>' + m.role + '\\n' -}}
{%- if m.role == 'assistant' and '</think>' in m.content -%}{{- m.content.split('</think>')[-1] -}}
{%- else -%}{{- m.content -}}{%- endif -%}
{{- '<|im_end|>\\n' -}}{%- endfor -%}
"""
PLAIN = "{%- for m in messages -%}{{- m.role + ': ' + m.content + '<|im_end|>\\n' -}}{%- endfor -%}"


def tokens(renderer: PromptRenderer, answer: dict[str, Any]) -> list[int]:
    return renderer.render([ASKED, {"role": "assistant"} | answer, MORE]).tokens


@pytest.mark.parametrize("parts", [False, True])
def test_a_leading_thought_is_rendered_in_the_templates_place(parts: bool) -> None:
    renderer = PromptRenderer(kinds.byte_level())
    text = "<think>\nit </think-s\n</think>\n\nBecause."
    inline = [{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}] if parts else text
    apart = {"content": "Because.", "reasoning_content": "it </think-s"}
    assert tokens(renderer, {"content": inline}) == tokens(renderer, apart)


def test_a_template_that_drops_thoughts_drops_a_leading_one() -> None:
    renderer = PromptRenderer(kinds.byte_level(DROPPING))
    assert tokens(renderer, {"content": "<think>it is so</think>Because."}) == tokens(
        renderer, {"content": "Because."}
    )


def test_a_template_without_thinking_renders_it_as_text() -> None:
    renderer = PromptRenderer(kinds.byte_level(PLAIN))
    prompt = renderer.render([ASKED, {"role": "assistant", "content": "<think>it is so</think>Because."}])
    assert "<think>it is so</think>Because." in prompt.text
    marks = {renderer._template._control.numbers[mark] for mark in ("<think>", "</think>")}
    assert marks.isdisjoint(prompt.tokens)


@pytest.mark.parametrize(
    "content",
    [
        "Write <think>this</think>.",
        "<think> never ends",
        "this</think> ends",
        "",
        None,
        "<thinking>x</think>y",
    ],
)
def test_other_text_is_unchanged(content: str | None) -> None:
    answer = {"role": "assistant", "content": content}
    thoughts = InlineThoughts("<think>", "</think>", lambda messages, tools: "same")
    assert thoughts.extracted([ASKED, answer]) == [ASKED, answer]


def test_a_message_with_a_thinking_field_is_unchanged() -> None:
    marks = Marks()
    answer = {"role": "assistant", "content": f"{marks.think}a{marks.over}b", "reasoning_content": "c"}
    thoughts = InlineThoughts(marks.think, marks.over, lambda messages, tools: "same")
    assert thoughts.extracted([answer]) == [answer]


def test_a_template_that_refuses_the_probe_gets_text() -> None:
    def refuse(messages: Any, tools: Any) -> str:
        raise ValueError("no")

    answer = {"role": "assistant", "content": "<think>a</think>b"}
    assert InlineThoughts("<think>", "</think>", refuse).extracted([answer]) == [answer]
