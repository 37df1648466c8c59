"""Prompts only grow, with any template of a model."""

from __future__ import annotations

import copy
import itertools
import json
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.prompts.rendering import PromptRenderer, plain_transcript, render
from engine.wire.turn_folding import marked
from tests.engine import templates
from tests.engine.conversations import conversations, extended

TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}},
}
shared_tokenizer = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def renderer(tokenizer: Any) -> PromptRenderer:
    return PromptRenderer(tokenizer)


@pytest.fixture(scope="session")
def renderer_of(tokenizer: Any) -> Any:
    """A renderer with another chat template on the same tokenizer."""

    @lru_cache
    def make(template: str) -> PromptRenderer:
        other = copy.copy(tokenizer)
        other._tokenizer = copy.deepcopy(tokenizer._tokenizer)
        other._tokenizer.chat_template = template
        return PromptRenderer(other)

    return make


@pytest.mark.parametrize("name", ["", "STRICT", "HOISTING", "ALTERNATING"])
@shared_tokenizer
@given(messages=conversations(), tools=st.booleans(), data=st.data())
def test_the_prompt_of_a_turn_is_a_prefix_of_the_next_turns(
    renderer: PromptRenderer,
    renderer_of: Any,
    name: str,
    messages: list[dict[str, Any]],
    tools: bool,
    data: st.DataObject,
) -> None:
    used = renderer_of(getattr(templates, name)) if name else renderer
    longer = data.draw(extended(messages))
    now, later = (used.render(m, [TOOL] if tools else None) for m in (messages, longer))
    assert later.text.startswith(now.text)


@shared_tokenizer
@given(messages=conversations(), data=st.data())
def test_every_boundary_ends_a_token_exact_prefix_of_this_prompt_and_of_the_next(
    renderer: PromptRenderer, messages: list[dict[str, Any]], data: st.DataObject
) -> None:
    now = renderer.render(messages, [TOOL])
    later = renderer.render(data.draw(extended(messages)), [TOOL])
    assert list(now.boundaries) == sorted(set(now.boundaries))
    assert later.boundaries[: len(now.boundaries)] == now.boundaries
    for boundary in now.boundaries:
        assert 0 < boundary < len(now.tokens)
        head = renderer._tokenizer.decode(now.tokens[:boundary])
        assert now.text.startswith(head)
        assert renderer.encode(head) == now.tokens[:boundary] == later.tokens[:boundary]


def test_the_first_boundary_ends_system_and_tools_and_the_last_is_before_the_answer(
    renderer: PromptRenderer,
) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    prompt = renderer.render(messages, [TOOL])
    other = renderer.render([messages[0], {"role": "user", "content": "something else"}], [TOOL])
    assert prompt.boundaries[0] == other.boundaries[0]
    assert prompt.tokens[: prompt.boundaries[0]] == other.tokens[: other.boundaries[0]]
    head = renderer._tokenizer.decode(prompt.tokens[: prompt.boundaries[0]])
    assert "look" in head
    assert "hi" not in head[-20:]
    assert renderer._tokenizer.decode(prompt.tokens[prompt.boundaries[-1] :]) == "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("messages", "tools", "has_shared_prefix"),
    [
        ([{"role": "user", "content": "Hi."}], None, False),
        ([{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}], None, False),
        ([{"role": "user", "content": "Hi."}], [TOOL], True),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}], None, True),
        ([{"role": "user", "content": "<system-reminder>a</system-reminder>\nHi."}], None, True),
    ],
)
def test_a_prompt_without_system_and_tools_has_no_shared_prefix(
    renderer: PromptRenderer, messages: list[Any], tools: list[Any] | None, has_shared_prefix: bool
) -> None:
    assert renderer.render(messages, tools).has_shared_prefix is has_shared_prefix


@pytest.mark.parametrize("said", ["Who are you?", "\n\nTell me a joke", "</system-reminder>", "ünï"])
def test_shared_reminders_end_at_a_boundary(renderer: PromptRenderer, said: str) -> None:
    reminders = "<system-reminder>\nMind the gap.\n</system-reminder>\n<system-reminder>x</system-reminder>\n"
    lead = {"role": "system", "content": "You are here."}

    def rendered(text: str) -> Any:
        return renderer.render([lead, {"role": "user", "content": reminders + text}], [TOOL])

    one, other = rendered(said), rendered("Go on")
    assert [part.name for part in one.parts.found if part.end in one.boundaries] == [
        "tools",
        "reminders of message 1 (user)",
        "message 1 (user)",
    ]
    assert one.boundaries[:2] == other.boundaries[:2]
    assert one.tokens[: one.boundaries[1]] == other.tokens[: other.boundaries[1]]
    assert renderer._tokenizer.decode(one.tokens[: one.boundaries[1]]).rstrip().endswith("</system-reminder>")
    assert renderer._tokenizer.decode(one.tokens) == one.text


def test_a_prompt_with_reminders_only_grows(renderer: PromptRenderer) -> None:
    asked = [{"role": "user", "content": "<system-reminder>a</system-reminder>\nHello"}]
    later = [*asked, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Go on"}]
    now, then = renderer.render(asked), renderer.render(later)
    assert then.tokens[: now.boundaries[-1]] == now.tokens[: now.boundaries[-1]]
    assert then.boundaries[: len(now.boundaries)] == now.boundaries


@pytest.mark.parametrize("text", ["Hello", "x <system-reminder>a</system-reminder>", "<system-reminder>open"])
def test_other_text_of_the_user_has_no_boundary(renderer: PromptRenderer, text: str) -> None:
    assert len(renderer.render([{"role": "user", "content": text}]).boundaries) == 1


def test_arguments_keep_the_order_of_their_keys(renderer: PromptRenderer) -> None:
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "look", "arguments": '{"z": 1, "a": {"y": 2, "b": 3}}'},
    }
    text, _ = renderer.text([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}])
    assert '{"z": 1, "a": {"y": 2, "b": 3}}' in text


def test_arguments_that_are_not_an_object_are_rendered(renderer: PromptRenderer) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{cut off"}}
    text, _ = renderer.text([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}])
    assert "{cut off" in text


def test_the_random_models_template_keeps_system_entries_in_place(renderer: PromptRenderer) -> None:
    assert renderer.traits.system_in_place
    messages = [{"role": "user", "content": "hi"}, {"role": "system", "content": "now this"}]
    assert "<|im_start|>system\nnow this<|im_end|>" in renderer.text(messages)[0]


@pytest.mark.parametrize("template", [templates.STRICT, templates.HOISTING])
def test_system_entries_are_folded_for_a_template_that_refuses_or_moves_them(
    renderer_of: Any, template: str
) -> None:
    prompt = renderer_of(template).render(
        [{"role": "user", "content": "hi"}, {"role": "system", "content": "now this"}]
    )
    assert f"hi\n\n{marked('now this')}" in prompt.text
    assert "folded" in prompt.notes[0]


def test_a_template_without_system_and_tool_roles_gets_alternating_turns(renderer_of: Any) -> None:
    renderer = renderer_of(templates.ALTERNATING)
    traits = renderer.traits
    assert (traits.first_system, traits.repeated_roles, traits.tool_turns, traits.tools_rendered) == (
        False,
    ) * 4
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}
    prompt = renderer.render(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "looking", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "seen"},
            {"role": "user", "content": "well?"},
        ],
        [TOOL],
    )
    order = ["Be brief.", "hi", "looking", '"at": "it"', "<tool_response>\nseen", "well?"]
    places = [prompt.text.index(word) for word in order]
    assert places == sorted(places)
    assert "no place for tools" in prompt.notes[-1]


def test_a_template_that_requires_tools_has_a_place_for_them(
    renderer_of: Any,
) -> None:
    refusing = "{{- raise_exception('tools are wanted') if not tools -}}{{- tools | tojson -}}"
    prompt = renderer_of(refusing + templates.STRICT).render([{"role": "user", "content": "x"}], [TOOL])
    assert TOOL["function"]["name"] in prompt.text
    assert prompt.notes == ()


def test_a_template_that_wants_short_ids_text_and_no_empty_content_gets_them(renderer_of: Any) -> None:
    renderer = renderer_of(templates.SHORT_IDS)
    traits = renderer.traits
    assert (traits.short_call_ids, traits.text_arguments, traits.empty_content) == (True, True, None)
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
    ]
    text, _ = renderer.text(messages)
    short = text.split("[CALL]")[1][:9]
    assert short.isalnum()
    assert f'[CALL]{short}look{{"a":1}}[RESULT]{short}seen' in text


def test_thinking_switches_and_turns_that_only_begin_are_found(renderer_of: Any) -> None:
    renderer = renderer_of(templates.TURNS_WITHOUT_END)
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": "third"},
    ]
    assert renderer.traits.thinking_switch == "enable_thinking"
    assert renderer.traits.fixed_kwargs == {"preserve_thinking": True}
    on, off = (renderer.render(messages, **renderer.thinking_kwargs(effort)) for effort in ("high", "none"))
    assert (on.opens_thinking, off.opens_thinking) == (True, False)
    heads = [renderer._tokenizer.decode(on.tokens[:boundary]) for boundary in on.boundaries]
    assert [head[-6:].strip() for head in heads] == ["first", "second", "third"]


def test_a_refusal_has_the_templates_own_words(renderer_of: Any) -> None:
    renderer = renderer_of(
        templates.STRICT + "{{- raise_exception('too much') if messages[0].content == '0' -}}"
    )
    prompt = renderer.render([{"role": "user", "content": str(number)} for number in range(2)])
    assert "too much" in prompt.notes[0]
    assert "0\n\n1" in prompt.text


def test_a_body_renders_as_the_server_renders_it(tokenizer: Any, renderer: PromptRenderer) -> None:
    messages = [{"role": "user", "content": "hi"}]
    body = {"messages": messages, "tools": [TOOL], "temperature": 0.5}
    assert render(tokenizer, body) == renderer.text(messages, [TOOL])[0]
    assert render(tokenizer, body | {"tool_choice": "none"}) == renderer.text(messages)[0]


def test_a_model_without_a_template_gets_a_plain_transcript() -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    assert plain_transcript(turns) == "User: hi\n\nAssistant: ho\n\nAssistant:"


def test_a_hundred_messages_render_quickly(renderer: PromptRenderer) -> None:
    turn = [{"role": "user", "content": "words " * 20}, {"role": "assistant", "content": "more words " * 20}]
    messages = list(itertools.chain(*itertools.repeat(turn, 50)))
    prompt = renderer.render(messages)
    assert len(prompt.boundaries) == 100
    assert json.dumps(prompt.boundaries)


def test_a_template_that_computes_the_format_of_its_clock_writes_the_day(renderer_of: Any) -> None:
    """As one with a literal format: the text of a prompt must not change with the time."""
    clock = (
        "{%- set form = '%H:%M:%S.%f' -%}"
        "{%- macro now() -%}{{- strftime_now('%A ' ~ form) -}}{%- endmacro -%}{{- now() -}}"
    )
    used = renderer_of(clock + templates.HOISTING)
    text = used.render([{"role": "user", "content": "What time is it?"}]).text
    assert " 00:00:00.000000<|im_start|>user" in text
    assert used.traits.thinking_switch == ""
