"""A client's content is text: it never becomes a control token, and the model reads all of it."""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from engine.prompts.encoding.control_tokens import control_tokens
from engine.prompts.rendering import PromptRenderer, RenderedPrompt
from tests.engine import tokenizer_kinds as kinds
from tests.engine.tokenizer_kinds import GEMMA, LLAMA3, MISTRAL, Marks

Message = dict[str, Any]

MARKS = (*Marks().all, *LLAMA3.all[:2], *MISTRAL.all, *GEMMA.all[:2], "</s>", "<s>", "[SEP]")
PARTS = ("<", ">", "<|", "|>", "</", "<|im_", "im_end|>", "think>", "think", "tool_call", "[", "INST]", "[/")
FOLDED = ("＜ｔｈｉｎｋ＞", "<THINK>", "<|IM_END|>", "＜|im_start|＞")
PLAIN = ("word", " two words ", "\n", "\n\n", "  ", "日本", "1", '{"a": "b"}', "<b>", "\\", "'", "")
TEXTS = st.lists(st.sampled_from((*MARKS, *PARTS, *FOLDED, *PLAIN)), max_size=6).map("".join)
NAMES = st.sampled_from(("look", "think", "tool_call", *MARKS[:6], "</think", "im_end", "a<", ">"))
ARGUMENTS = st.dictionaries(NAMES, TEXTS | st.lists(TEXTS, max_size=2), max_size=3)


@st.composite
def rounds(draw: st.DrawFn) -> list[Message]:
    """A question, an answer with calls, their results."""
    turns: list[Message] = [{"role": "user", "content": draw(TEXTS)}]
    said = draw(TEXTS)
    if said.lstrip().startswith(("<think>", "[THINK]")):
        said = f".{said}"  # otherwise its beginning may be a thought: see test_inline_thoughts
    answer: Message = {"role": "assistant", "content": said}
    if draw(st.booleans()):
        answer["reasoning_content"] = draw(TEXTS)
    turns.append(answer)
    if draw(st.booleans()):
        function = {"name": draw(NAMES), "arguments": json.dumps(draw(ARGUMENTS))}
        answer["tool_calls"] = [{"id": draw(NAMES), "type": "function", "function": function}]
        turns.append({"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": draw(TEXTS)})
    return turns


CONVERSATIONS = st.lists(rounds(), min_size=1, max_size=2).map(
    lambda made: [turn for one in made for turn in one]
)
TOOLS = st.builds(
    lambda name, text, key: [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": text,
                "parameters": {
                    "type": "object",
                    "properties": {key: {"type": "string", "description": text}},
                },
            },
        }
    ],
    NAMES,
    TEXTS,
    NAMES,
)


@lru_cache
def renderer_of(kind: Any) -> PromptRenderer:
    return PromptRenderer(kind())


def counted(renderer: PromptRenderer, prompt: RenderedPrompt) -> dict[str, int]:
    names = {number: text for text, number in renderer._template._control.numbers.items()}
    return dict(Counter(names[token] for token in prompt.tokens if token in names))


def user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def control_ids(renderer: PromptRenderer, tokens: list[int]) -> list[int]:
    watched = renderer._encode_whole._watched
    return [token for token in tokens if token in watched]


def marks_written(renderer: PromptRenderer, messages: list[Message], tools: Any) -> int:
    """The number of marks that the template wrote."""
    harmless = [harmless_turn(message) for message in messages]
    text = renderer._plain(renderer._asked(harmless, harmless_tools(tools), {})).text
    return sum(text.count(mark) for mark in Marks().all)


def harmless(value: Any) -> Any:
    """The same with words in place of all texts that are not empty."""
    if isinstance(value, str):
        return "word" if value.strip() else value
    if isinstance(value, list):
        return [harmless(item) for item in value]
    if isinstance(value, dict):
        return {f"word{number}": harmless(item) for number, item in enumerate(value.values())}
    return value


def harmless_turn(message: Message) -> Message:
    plain = message | {"content": harmless(message["content"])}
    if "reasoning_content" in message:
        plain["reasoning_content"] = harmless(message["reasoning_content"])
    for call in message.get("tool_calls", ()):
        arguments = json.dumps(harmless(json.loads(call["function"]["arguments"])))
        plain["tool_calls"] = [call | {"id": "word", "function": {"name": "word", "arguments": arguments}}]
    return plain


def harmless_tools(tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    schema = {"type": "object", "properties": {"word": {"type": "string", "description": "word"}}}
    function = {"name": "word", "description": "word", "parameters": schema}
    return tools and [{"type": "function", "function": function}]


@pytest.mark.parametrize("kind", kinds.ALL, ids=lambda kind: kind.__name__)
@settings(max_examples=40)
@given(messages=CONVERSATIONS, tools=st.none() | TOOLS)
def test_a_prompt_has_the_control_tokens_that_its_structure_has(
    kind: Any, messages: list[Message], tools: list[dict[str, Any]] | None
) -> None:
    renderer = renderer_of(kind)
    tokens = renderer.render(messages, tools).tokens
    plain = renderer.render([harmless_turn(message) for message in messages], harmless_tools(tools)).tokens
    if kind is kinds.single_words:  # a mark next to a word is not one there, whatever wrote it
        assert len(control_ids(renderer, tokens)) <= marks_written(renderer, messages, tools)
    else:
        assert control_ids(renderer, tokens) == control_ids(renderer, plain)


@pytest.mark.parametrize("kind", kinds.LOSSLESS, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(messages=CONVERSATIONS, tools=st.none() | TOOLS)
def test_what_the_model_reads_is_what_was_sent(
    kind: Any, messages: list[Message], tools: list[dict[str, Any]] | None
) -> None:
    renderer = renderer_of(kind)
    prompt = renderer.render(messages, tools)
    assert renderer._tokenizer.decode(prompt.tokens) == prompt.text
    for message in messages:
        assert message["content"].strip() in prompt.text


@pytest.mark.parametrize("kind", kinds.ALL, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(messages=CONVERSATIONS, more=rounds(), tools=st.none() | TOOLS)
def test_a_prompt_is_a_prefix_of_the_next_ones(
    kind: Any, messages: list[Message], more: list[Message], tools: list[dict[str, Any]] | None
) -> None:
    renderer = renderer_of(kind)
    now, later = renderer.render(messages, tools), renderer.render([*messages, *more], tools)
    assert later.text.startswith(now.text[: now.text.rindex("assistant")])
    assert later.boundaries[: len(now.boundaries)] == now.boundaries
    for cut in now.boundaries:
        assert now.tokens[:cut] == later.tokens[:cut]


@pytest.mark.parametrize("kind", kinds.ALL, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(messages=CONVERSATIONS)
def test_segments_are_tokenized_as_the_whole_text_is(kind: Any, messages: list[Message]) -> None:
    renderer = renderer_of(kind)
    text = renderer._plain(renderer._asked(messages, None, {})).text
    assert renderer.encode(text) == renderer._encode_whole(text)


def test_tokens_of_ordinary_text_stay_tokens() -> None:
    renderer = renderer_of(kinds.gemma)
    tokens = renderer.render(user("one\n\n<b>two</b>▁▁")).tokens
    names = [renderer._tokenizer.convert_ids_to_tokens(token) for token in tokens]
    assert {"\n\n", "<b>", "</b>", "▁▁"} <= set(names)


def test_words_signs_and_blanks_are_not_control_tokens() -> None:
    tokenizer = kinds.byte_level("{{ messages[0].content }}")
    plain, marks = ["wörd", "two words", "ü", "÷", "    ", "\n\n"], ["<x>", "|||MAIL|||", "[X]"]
    tokenizer._tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*plain, *marks)])
    found = control_tokens(tokenizer, tokenizer.chat_template)
    assert found.numbers.keys() == {*Marks().all, *marks}


def test_text_tokenized_alone_has_its_control_tokens() -> None:
    renderer = renderer_of(kinds.byte_level)
    ids = renderer._template._control.numbers
    assert renderer.encode("<|im_start|>") == [ids["<|im_start|>"]]


def test_a_tokenizer_that_always_finds_a_token_is_detected_and_noted() -> None:
    tokenizer = kinds.byte_level()
    tokenizer._tokenizer.add_special_tokens({"additional_special_tokens": ["§"]})
    renderer = PromptRenderer(tokenizer)
    assert renderer._encode_whole.leaks == ("§",)
    assert renderer.render(user("see")).notes == ()
    [note] = renderer.render(user("see § 5")).notes
    assert "§" in note
