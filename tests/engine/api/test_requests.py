"""Chat completion bodies, accepted or refused with the name of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from engine.api.json_body import InvalidChatRequest, parse_body
from engine.api.requests import MAX_STOPS, parse_chat
from engine.scheduling.requests.steps import Sampling
from engine.scheduling.sampling import check_sampling
from engine.wire.chat import (
    OMITTED_PART,
    content_text,
    context_length_message,
    context_length_numbers,
    unseen_picture,
)

HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [*HI, {"role": "user", "content": 7}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"temperature": 50}, "temperature"),
        ({"presence_penalty": 5}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"temperature": True}, "temperature"),
        ({"presence_penalty": False}, "presence_penalty"),
        ({"n": 2}, "n"),
        ({"max_tokens": True}, "max_tokens"),
        ({"seed": False}, "seed"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": {"-1": 1}}, "logit_bias.-1.[key]"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": 7}, "stop"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs.messages"),
        ({"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}, "chat_template_kwargs.chat_template"),
        ({"stop": ["x"] * (MAX_STOPS + 1)}, "stop"),
        ({"logit_bias": {"x": 1}}, "logit_bias.x.[key]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"stream_options": 1}, "stream_options"),
    ],
)
def test_a_wrong_value_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidChatRequest) as refused:
        parse_chat({"messages": HI} | fields)
    assert refused.value.param == param
    assert str(refused.value)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "seed", "top_k"])
def test_a_number_that_is_too_large_is_called_that(field: str) -> None:
    with pytest.raises(
        InvalidChatRequest, match=f"{field}: must be a whole number below 2 to the power of 64"
    ):
        parse_chat(
            parse_body(
                b'{"messages": [{"role": "user", "content": "hi"}], "%b": 1%b}' % (field.encode(), b"0" * 40)
            )
        )


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("min_p", 0, 1),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
        ("repetition_penalty", 0.001, 10),
    ],
)
def test_the_ranges_are_those_of_the_engine(name: str, low: float, high: float) -> None:
    for value in (low, high):
        sampling = parse_chat({"messages": HI, name: value}).sampling()
        assert check_sampling(sampling, vocab_size=100) is None
    for value in (low - 0.01, high + 0.01):
        assert check_sampling(Sampling(**{name: value}), vocab_size=100) is not None
        with pytest.raises(InvalidChatRequest):
            parse_chat({"messages": HI, name: value})


def test_tokens_that_the_model_does_not_have_are_named() -> None:
    chat = parse_chat({"messages": HI, "logit_bias": {"99": 1, "100": 1}})
    chat.check_tokens(101)
    with pytest.raises(InvalidChatRequest) as refused:
        chat.check_tokens(100)
    assert refused.value.param == "logit_bias.100"


def test_what_clients_send_beside_is_let_be() -> None:
    chat = parse_chat(
        {
            "messages": HI,
            "store": True,
            "logprobs": False,
            "top_logprobs": None,
            "user": "x",
            "metadata": {},
            "service_tier": "auto",
        }
    )
    assert chat.sampling() == Sampling()
    assert not chat.stream
    assert chat.output_limit is None


def test_null_leaves_a_value_to_the_server() -> None:
    names = (
        "temperature",
        "top_p",
        "n",
        "stop",
        "tools",
        "tool_choice",
        "logit_bias",
        "seed",
        "max_tokens",
        "stream",
    )
    chat = parse_chat({"messages": HI} | dict.fromkeys(names))
    assert chat.sampling() == Sampling()
    assert chat.stop == []


def test_all_sampling_parameters_reach_the_model() -> None:
    sent = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "repetition_penalty": 1.1,
        "seed": 7,
    }
    assert parse_chat({"messages": HI, "logit_bias": {"5": -100}} | sent).sampling() == Sampling(
        **sent, logit_bias={5: -100.0}
    )
    assert parse_chat({"messages": HI, "top_k": -1}).sampling().top_k == 0


def test_what_a_body_leaves_open_is_the_models_own_default() -> None:
    own = {"temperature": 0.6, "top_k": 20, "repetition_penalty": 1.05}
    assert parse_chat({"messages": HI}).sampling(own) == Sampling(**own)
    named = {"messages": HI, "temperature": 0, "top_k": 0, "repetition_penalty": None}
    assert parse_chat(named).sampling(own) == Sampling(temperature=0, top_k=0, repetition_penalty=1.05)


def test_the_newer_name_of_the_output_limit_wins() -> None:
    assert parse_chat({"messages": HI, "max_tokens": 5}).output_limit == 5
    assert parse_chat({"messages": HI, "max_tokens": 5, "max_completion_tokens": 7}).output_limit == 7


def test_stop_is_a_string_or_many() -> None:
    assert parse_chat({"messages": HI, "stop": "END"}).stop == ["END"]
    assert parse_chat({"messages": HI, "stop": list("abcdef")}).stop == list("abcdef")


@pytest.mark.parametrize(
    ("fields", "may_think"),
    [
        ({}, True),
        ({"reasoning_effort": "low"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": {"enable_thinking": True}}, True),
    ],
)
def test_a_request_may_say_that_there_is_to_be_no_thinking(fields: dict[str, Any], may_think: bool) -> None:
    assert parse_chat({"messages": HI} | fields).may_think is may_think


NAMED = {"type": "function", "function": {"name": "look"}}


@pytest.mark.parametrize(
    ("choice", "kind", "callable_names"),
    [
        (None, "auto", ["look", "go"]),
        ("auto", "auto", ["look", "go"]),
        ("required", "required", ["look", "go"]),
        ("none", "none", []),
        (NAMED, "required", ["look"]),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}, "auto", ["look"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            "required",
            ["look"],
        ),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "none", []),
    ],
)
def test_the_choice_says_which_tools_may_be_called(choice: Any, kind: str, callable_names: list[str]) -> None:
    tools = [NAMED, {"type": "function", "function": {"name": "go"}}]
    chat = parse_chat({"messages": HI, "tools": tools, "tool_choice": choice})
    assert chat.choice.kind == kind
    assert [tool["function"]["name"] for tool in chat.callable_tools] == callable_names


@pytest.mark.parametrize("name", ["", "two words", "a<b", "line\n", "wörter", "a" * 129, "fn:x"])
def test_a_tool_name_that_marks_could_not_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidChatRequest, match="a tool's name is") as raised:
        parse_chat({"messages": HI, "tools": [TOOL, {"type": "function", "function": {"name": name}}]})
    assert raised.value.param == "tools[1].function.name"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tool_choice": "required"}, "there are no tools"),
        ({"tool_choice": "sometimes"}, "must be none, auto, required or a tool"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "fly"}}}, "'fly'"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "no tool of it"),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}},
            },
            "allows no tool",
        ),
    ],
)
def test_a_choice_that_cannot_be_met_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidChatRequest, match=why) as raised:
        parse_chat({"messages": HI} | fields)
    assert raised.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "array"}}},
            {"type": "array"},
        ),
    ],
)
def test_the_form_of_an_answer_is_a_schema(form: Any, schema: Any) -> None:
    assert parse_chat({"messages": HI, "response_format": form}).answer_schema == schema


@pytest.mark.parametrize("named", [None, {}, {"schema": "x"}, "x"])
def test_a_form_without_its_schema_is_refused(named: Any) -> None:
    with pytest.raises(InvalidChatRequest, match="must be a JSON schema"):
        parse_chat({"messages": HI, "response_format": {"type": "json_schema", "json_schema": named}})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"hi"', b"\xff", b'{"a": ' + b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidChatRequest, match="the request body"):
        parse_body(body)


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert parse_body(rb'{"text": "a\ud83d b\ud83d\ude00"}') == {"text": "a\ufffd b\U0001f600"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("hi", "hi"),
        ([], ""),
        ([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}], "hi"),
        (["h", "i"], "hi"),
        ([{"type": "refusal", "refusal": "no"}], "no"),
        ([{"type": "image_url", "image_url": {}}], unseen_picture()),
        ([{"type": "input_audio"}], OMITTED_PART.format(kind="input_audio")),
    ],
)
def test_content_has_one_text_in_all_its_forms(content: Any, text: str) -> None:
    assert content_text(content) == text


def test_the_numbers_of_a_context_that_is_too_long_can_be_read_back() -> None:
    assert context_length_numbers(context_length_message(40000, 32768)) == (40000, 32768)
    assert context_length_numbers("something else") is None
