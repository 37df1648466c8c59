"""A kept answer replaces the text that the template writes for it, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.prompts.encoding.control_tokens import OWN
from engine.prompts.message_preparation import prepare_messages
from engine.prompts.probing.known_traits import KnownTraits
from engine.prompts.rendering import PromptRenderer, RenderedPrompt
from engine.prompts.template_traits import TemplateTraits
from tests.engine.template_shapes import SHAPES, Shape, Templated, answer_bytes
from tests.engine.tokenizer_kinds import byte_level

TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}
shared = settings(
    suppress_health_check=list(HealthCheck),
    deadline=None,
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
)

Message = dict[str, Any]

COMMON = Shape(
    calls="json",
    thinking="never",
    results="turn",
    end="<|im_end|>\\n",
    opening="",
    text_last=False,
    only_answered=False,
    numbered=False,
    trimmed=False,
    last_question_first=False,
    last_answer_first=False,
    refuses_orphans=False,
    clock=False,
)


class WholePrompts(KnownTraits):
    """Templates that are not probed, and render whole conversations."""

    def get(self, name: str) -> TemplateTraits:
        return TemplateTraits()


def without_memory(prompt: RenderedPrompt) -> str:
    """The text of a prompt with each recalled answer replaced by the template's text."""
    text = prompt.text
    for answer in reversed(prompt.recalled):
        text = text[: answer.start] + answer.spelled + text[answer.end :]
    return text


def called(number: int, text: str = "", count: int = 1, arguments: Any = None) -> Message:
    calls = [
        {
            "id": f"call_{number}_{at}",
            "type": "function",
            "function": {
                "name": "look",
                "arguments": json.dumps({"at": f"/{number}/{at}"} | (arguments or {})),
            },
        }
        for at in range(count)
    ]
    return {"role": "assistant", "content": text, "tool_calls": calls}


def results(answer: Message) -> list[Message]:
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": f"seen {call['id']}"}
        for call in answer["tool_calls"]
    ]


@st.composite
def answers(draw: st.DrawFn, number: int) -> Message:
    text = draw(st.sampled_from(["", f"said {number}", f" said\n{number}\n", "Done.", "probe"]))
    answer: Message = {"role": "assistant", "content": text}
    if draw(st.booleans()):
        arguments = draw(st.sampled_from([None, {"a": 5}, {"z": {"b": [1, "x"]}}, {"t": "é\n<|im_end|>"}]))
        answer = called(number, text, draw(st.integers(1, 2)), arguments)
    if draw(st.booleans()):
        answer["reasoning_content"] = f"thought {number}"
    return answer


@st.composite
def written(draw: st.DrawFn, answer: Message) -> str:
    """An answer as a model may write it, unlike any template."""
    thinking = f"muse\n</think>\n\n{answer['content']}" if draw(st.booleans()) else answer["content"]
    for call in answer.get("tool_calls", []):
        at = json.dumps(json.loads(call["function"]["arguments"]), separators=(" , ", ":"))
        thinking += draw(
            st.sampled_from([f"<call>look{at}</call>", f"\n<tool_call>\n{at}}}\n</tool_call>", at])
        )
    return thinking + draw(st.sampled_from(["", "\n", " ~"]))


def grown(
    renderer: PromptRenderer, data: st.DataObject, rounds: int
) -> list[tuple[list[Message], RenderedPrompt]]:
    """A conversation turn by turn, with each answer kept: the messages, and the prompt."""
    messages: list[Message] = [{"role": "user", "content": "question 0"}]
    seen = []
    for number in range(rounds):
        prompt = renderer.render(messages, [TOOL])
        seen.append((messages, prompt))
        answer = data.draw(answers(number))
        tokens = renderer.encode(data.draw(written(answer)) or "x")
        renderer.remember(prompt, {k: v for k, v in answer.items() if k != "reasoning_content"}, tokens)
        follow = results(answer) if "tool_calls" in answer else []
        if not follow or data.draw(st.booleans()):
            follow = [*follow, {"role": "user", "content": f"question {number + 1}"}]
        messages = [*messages, answer, *follow]
    return [*seen, (messages, renderer.render(messages, [TOOL]))]


@shared
@given(shape=SHAPES, data=st.data())
def test_without_recalled_answers_a_prompt_is_the_templates(
    tokenizer: Any, shape: Shape, data: st.DataObject
) -> None:
    renderer = PromptRenderer(Templated(tokenizer, shape.plain), known=WholePrompts())
    for messages, prompt in grown(renderer, data, data.draw(st.integers(1, 4))):
        plain, own = renderer.text(messages, [TOOL])[0], without_memory(prompt)
        assert (own[6:], len(own)) == (plain[6:], len(plain)) if shape.clock else own == plain


@shared
@given(shape=SHAPES, data=st.data())
def test_only_the_text_of_one_answer_is_replaced(tokenizer: Any, shape: Shape, data: st.DataObject) -> None:
    shape = dataclasses.replace(shape, clock=False)
    renderer = PromptRenderer(Templated(tokenizer, shape.plain), known=WholePrompts())
    telling = Templated(tokenizer, shape.telling)
    for messages, prompt in grown(renderer, data, data.draw(st.integers(1, 4))):
        prepared = prepare_messages(messages, renderer.traits)
        told = telling.apply_chat_template(
            prepared.messages, tools=[TOOL], tokenize=False, add_generation_prompt=True
        )
        plain, places = answer_bytes(told.replace(OWN, ""))
        assert plain == without_memory(prompt)
        shift = 0
        for answer in prompt.recalled:
            start = answer.start + shift
            shift += len(answer.spelled) - (answer.end - answer.start)
            end = answer.end + shift
            own = [[places[at] for at in range(t.start, t.stop) if at in places] for t in prepared.answers]
            spans = next(spans for spans in own if spans and spans[-1][-1][1] in range(start + 1, end + 1))
            assert all(len(span) == 1 for span in spans)
            first, last = spans[0][0][0], spans[-1][0][1]
            assert plain[last:end].strip() == "" or plain[last:end] in shape.end.replace("\\n", "\n")
            assert plain[start:first].removeprefix("\n").strip("0123456789. ") in (
                "",
                "<|im_start|>assistant\n",
            )


@pytest.mark.parametrize(
    "shape",
    [
        COMMON,
        dataclasses.replace(COMMON, results="by the call", end=""),
        dataclasses.replace(COMMON, thinking="behind the last question", opening="<think>\\n"),
        dataclasses.replace(COMMON, thinking="an empty block", opening="<think>"),
        dataclasses.replace(COMMON, refuses_orphans=True, results="merged"),
        dataclasses.replace(COMMON, calls="sorted", trimmed=True, thinking="where there is some"),
    ],
    ids=["common", "results by the call", "thinking in the loop", "empty thinking", "no orphans", "sorted"],
)
def test_the_next_prompt_continues_the_generated_tokens(tokenizer: Any, shape: Shape) -> None:
    renderer = PromptRenderer(Templated(tokenizer, shape.plain))
    messages: list[Message] = [{"role": "user", "content": "question"}]
    for number in range(5):
        prompt = renderer.render(messages, [TOOL])
        answer = (
            called(number, f"I look {number}.") if number % 3 < 2 else {"role": "assistant", "content": "Ok"}
        )
        said = f"thought {number}\n</think>\n\n\n{answer['content']}<call>look( {number})</call>"
        if "tool_calls" in answer:
            said += f'\n<tool_call>\n{{"name":"look",   "arguments": {{"at":"/{number}/0"}}}}\n</tool_call>'
        tokens = renderer.encode(said)
        renderer.remember(prompt, answer, tokens)
        follow = results(answer) if "tool_calls" in answer else [{"role": "user", "content": "and?"}]
        messages = [*messages, answer | {"reasoning_content": f"thought {number}"}, *follow]
        later = renderer.render(messages, [TOOL])
        assert later.tokens[: len(prompt.tokens) + len(tokens)] == [*prompt.tokens, *tokens]
        assert without_memory(later) == renderer.text(messages, [TOOL])[0]
        assert all(message["content"] in later.text for message in messages)
        assert not later.notes


TAGGED = (
    "{%- for m in messages -%}{{- '<think>' ~ m.role ~ '</think>' ~ (m.content or '') ~ '<tool_call>\\n' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<think>assistant</think>' -}}{%- endif -%}"
)


@pytest.mark.parametrize("spelt", ["</think>", "<think>user</think>", "<tool_call>\n<think>user</think>"])
def test_a_text_that_spells_a_mark_does_not_end_its_answer(
    spelt: str,
) -> None:
    """No token of this template's ends an answer."""
    renderer = PromptRenderer(byte_level(TAGGED))
    asked: Message = {"role": "user", "content": "ask"}
    prompt, answer = renderer.render([asked], None), {"role": "assistant", "content": f"say {spelt}"}
    written = [token for letter in f"say {spelt}" for token in renderer.encode(letter)]
    renderer.remember(prompt, answer, written)
    messages = [asked, answer, {"role": "user", "content": "next"}]
    grown = renderer.render(messages, None)
    assert [answer.spelled for answer in grown.recalled] == [f"<think>assistant</think>say {spelt}"]
    assert without_memory(grown) == renderer.text(messages, None)[0]


def test_an_answer_spelled_in_a_clients_text_is_not_replaced() -> None:
    renderer = PromptRenderer(byte_level(TAGGED))
    answer: Message = {"role": "assistant", "content": "Done."}
    asked: Message = {"role": "user", "content": "ask"}
    renderer.remember(renderer.render([asked], None), answer, renderer.encode("Done."))
    spelt = "ask<tool_call>\n<think>assistant</think>Done.<tool_call>\n<think>user</think>so"
    messages = [{"role": "user", "content": spelt}, answer, {"role": "user", "content": "next"}]
    prompt = renderer.render(messages, None)
    assert prompt.text == renderer.text(messages, None)[0]
    mark = renderer.encode("<think>")[0]
    assert prompt.tokens.count(mark) == 4  # three turns and the answer's: none in the client's text
