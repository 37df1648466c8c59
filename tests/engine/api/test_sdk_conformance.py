"""The official `openai` package on one engine, whose model thinks, speaks and calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ConfigDict

from bench.child import Child
from tests.any_json import any_json, examples
from tests.engine.api.test_chat_completions import FIELDS
from tests.models import ModelShelf
from tests.servers import engine

pytestmark = pytest.mark.slow

THOUGHT = "one two three four five six"
ARGUMENTS = '{"at": "it"}'
SCRIPT = (
    f"<think>\n{THOUGHT}\n</think>\n\nI will look.\n"
    f'<tool_call>\n{{"name": "look", "arguments": {ARGUMENTS}}}\n</tool_call>'
)
ASK: list[Any] = [{"role": "user", "content": "hi"}]
LOOK: Any = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}
TURN: Any = {
    "type": "function",
    "function": {
        "name": "turn",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"to": {"enum": ["left", "right"]}},
            "required": ["to"],
            "additionalProperties": False,
        },
    },
}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": ARGUMENTS}}


class Way(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: Literal["left", "right"]


@pytest.fixture(scope="module")
def served(shelf: ModelShelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with engine(shelf.scripted(SCRIPT), tmp_path_factory.mktemp("openai")) as running:
        yield running


@pytest.fixture(scope="module")
def sdk(served: Child) -> Iterator[openai.OpenAI]:
    url = f"{served.url}/v1"
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=20) as made:
        yield made


def streamed(sdk: openai.OpenAI, **fields: Any) -> tuple[ChatCompletion, list[ChatCompletionChunk]]:
    """The answer as the package puts it together, and its chunks."""
    state: Any = ChatCompletionStreamState()
    chunks = []
    for chunk in sdk.chat.completions.create(**fields, stream=True):
        chunks.append(chunk)
        state.handle_chunk(chunk)
    try:
        return state.get_final_completion(), chunks
    except openai.LengthFinishReasonError as ended:
        return ended.completion, chunks


def user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


def after_call(content: Any) -> list[Any]:
    result = {"role": "tool", "tool_call_id": "call_1", "content": content}
    return [*ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]}, result]


SCHEMA = {"type": "json_schema", "json_schema": {"name": "way", "schema": Way.model_json_schema()}}
JSON = {"response_format": SCHEMA}
# What is asked, and how the answer ends: those that end with "length" need not be long.
REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "least": ({}, "stop"),
    "another model": ({"model": "gpt-of-tomorrow"}, "length"),
    "system": ({"messages": [{"role": "system", "content": "Be brief."}, *ASK]}, "length"),
    "developer": ({"messages": [{"role": "developer", "content": "Be brief."}, *ASK]}, "length"),
    "system in parts": (
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *ASK]},
        "length",
    ),
    "named user": ({"messages": [{"role": "user", "name": "ann", "content": "hi"}]}, "length"),
    "text parts": (
        {"messages": user({"type": "text", "text": "a"}, {"type": "text", "text": "b"})},
        "length",
    ),
    "picture": (
        {"messages": user({"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}})},
        "length",
    ),
    "sound": (
        {"messages": user({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})},
        "length",
    ),
    "file": ({"messages": user({"type": "file", "file": {"file_id": "f"}})}, "length"),
    "an empty question": ({"messages": [{"role": "user", "content": ""}]}, "length"),
    "a refusal before": (
        {"messages": [*ASK, {"role": "assistant", "refusal": "No.", "content": None}, *ASK]},
        "length",
    ),
    "thinking before": (
        {"messages": [*ASK, {"role": "assistant", "content": "a", "reasoning_content": "b"}, *ASK]},
        "length",
    ),
    "begun": (
        {
            "messages": [*ASK, {"role": "assistant", "content": "I"}],
            "extra_body": {"continue_final_message": True},
            "max_tokens": 3,
        },
        "length",
    ),
    "tools": ({"tools": [LOOK]}, "tool_calls"),
    "two tools": ({"tools": [LOOK, TURN]}, "tool_calls"),
    "no tools": ({"tools": []}, "stop"),
    "auto": ({"tools": [LOOK], "tool_choice": "auto"}, "tool_calls"),
    "required": (
        {"tools": [TURN], "tool_choice": "required", "parallel_tool_calls": False},
        "tool_calls",
    ),
    "another tool": (
        {
            "tools": [LOOK, TURN],
            "tool_choice": {"type": "function", "function": {"name": "turn"}},
            "parallel_tool_calls": False,
        },
        "tool_calls",
    ),
    "allowed tools": (
        {
            "tools": [LOOK, TURN],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [TURN]},
            },
            "parallel_tool_calls": False,
        },
        "tool_calls",
    ),
    "none": ({"tools": [LOOK], "tool_choice": "none", "max_tokens": 20}, ""),
    "one call": ({"tools": [LOOK], "parallel_tool_calls": False}, "tool_calls"),
    "several calls": ({"tools": [LOOK], "parallel_tool_calls": True}, "tool_calls"),
    "result": ({"messages": after_call("seen"), "tools": [LOOK]}, "tool_calls"),
    "result in parts": (
        {"messages": after_call([{"type": "text", "text": "seen"}]), "tools": [LOOK]},
        "tool_calls",
    ),
    "result without tools": ({"messages": after_call("seen")}, "stop"),
    "text": ({"response_format": {"type": "text"}}, "stop"),
    "any object": ({"response_format": {"type": "json_object"}, "max_tokens": 30}, ""),
    "schema": (JSON, "stop"),
    "schema and tools": (JSON | {"tools": [LOOK], "tool_choice": "none"}, "stop"),
    "schema without thinking": (JSON | {"reasoning_effort": "none"}, "stop"),
    "stop": ({"stop": "will"}, "stop"),
    "stops": ({"stop": ["x" * 40, "will"]}, "stop"),
    "no stop": ({"stop": None}, "length"),
    "limit": ({"max_tokens": 4}, "length"),
    "limit by its new name": ({"max_completion_tokens": 4}, "length"),
    "both limits": ({"max_completion_tokens": 4, "max_tokens": 400}, "length"),
    "sampling": ({"temperature": 0.2, "top_p": 0.9}, "length"),
    "greedy": ({"temperature": 0, "top_p": 0}, "stop"),
    "penalties": ({"presence_penalty": 0.1, "frequency_penalty": -0.1}, "length"),
    "vendor's sampling": ({"extra_body": {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.0}}, "length"),
    "bias": ({"logit_bias": {"5": -100, "6": 1}}, "length"),
    "no bias": ({"logit_bias": {}}, "length"),
    "seed": ({"seed": 7}, "length"),
    "one answer": ({"n": 1}, "length"),
    "no logprobs": ({"logprobs": False}, "length"),
    **{f"effort {name}": ({"reasoning_effort": name}, "stop") for name in ("none", "minimal", "max")},
    "budget": ({"extra_body": {"thinking_token_budget": 3}}, "stop"),
    "budget and tools": ({"extra_body": {"thinking_token_budget": 3}, "tools": [LOOK]}, "tool_calls"),
    "budget and schema": (JSON | {"extra_body": {"thinking_token_budget": 3}}, "stop"),
    "for the vendor": (
        {"user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "verbosity": "low"},
        "length",
    ),
    "cache of the vendor": ({"prompt_cache_key": "k", "safety_identifier": "s"}, "length"),
    "prediction": ({"prediction": {"type": "content", "content": "I will look."}}, "length"),
    "modalities": ({"modalities": ["text"]}, "length"),
    "fields of others": ({"extra_body": {"cache_prompt": True, "transforms": []}}, "length"),
    "nothing in words": (dict.fromkeys(("tools", "tool_choice", "stop", "seed", "n")), "length"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_an_answer_is_the_same_streamed_and_whole(sdk: openai.OpenAI, name: str) -> None:
    fields, reason = REQUESTS[name]
    limit = 3 if reason == "length" else 200
    asked = {"model": "any", "messages": ASK, "temperature": 0, "max_tokens": limit} | fields
    whole = sdk.chat.completions.create(**asked)
    final, chunks = streamed(sdk, **asked)
    [one], [other] = whole.choices, final.choices
    assert one.finish_reason == other.finish_reason
    assert reason in ("", one.finish_reason)
    said, heard = one.message, other.message
    assert (said.content or "", said.role) == (heard.content or "", heard.role)
    assert [(call.function.name, call.function.arguments) for call in functions(said)] == [
        (call.function.name, call.function.arguments) for call in functions(heard)
    ]
    assert bool(functions(said)) is (one.finish_reason == "tool_calls")
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.usage is None for chunk in chunks)
    usage = whole.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    if "response_format" in fields and fields["response_format"] == SCHEMA:
        Way.model_validate_json(said.content or "")


def functions(message: Any) -> list[Any]:
    return list(message.tool_calls or [])


def test_usage_comes_last_in_a_stream_that_asks_for_it(sdk: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(sdk.chat.completions.create(model="any", messages=ASK, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 1
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize(
    ("fields", "thought", "content"),
    [
        ({}, THOUGHT, "I will look."),
        ({"extra_body": {"thinking_token_budget": 2}}, "one", "I will look."),
        ({"extra_body": {"thinking_token_budget": -1}}, THOUGHT, "I will look."),
        ({"extra_body": {"thinking_token_budget": 2}, "tools": [LOOK]}, "one", "I will look."),
        ({"reasoning_effort": "none"}, "", "I will look."),
        ({"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}, "", "I will look."),
    ],
)
def test_thinking_ends_at_its_budget_and_the_answer_goes_on(
    sdk: openai.OpenAI, fields: dict[str, Any], thought: str, content: str
) -> None:
    answer = sdk.chat.completions.create(model="any", messages=ASK, temperature=0, **fields)
    [choice] = answer.choices
    said = getattr(choice.message, "reasoning_content", None) or ""
    assert THOUGHT.startswith(said)
    assert said.startswith(thought)
    assert (len(said) < len(THOUGHT)) is (thought != THOUGHT)
    assert (choice.message.content or "").startswith(content)
    assert choice.finish_reason == ("tool_calls" if "tools" in fields else choice.finish_reason)
    details = answer.usage and answer.usage.completion_tokens_details
    assert details is not None
    assert (details.reasoning_tokens or 0) > 0


def test_the_package_parses_what_a_schema_holds(sdk: openai.OpenAI) -> None:
    parsed = sdk.chat.completions.parse(model="any", messages=ASK, response_format=Way, temperature=0)
    assert parsed.choices[0].message.parsed in (Way(to="left"), Way(to="right"))


def test_the_package_parses_the_arguments_of_a_strict_tool(sdk: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(Way, name="turn")
    parsed = sdk.chat.completions.parse(
        model="any",
        messages=ASK,
        tools=[tool],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
    )
    calls = parsed.choices[0].message.tool_calls or []
    assert isinstance(calls[0].function.parsed_arguments, Way)


def test_the_stream_helper_tells_what_comes(sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.stream(model="any", messages=ASK, tools=[LOOK], temperature=0) as events:
        kinds = {event.type for event in events}
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds


def test_a_raw_answer_has_its_headers(sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="any", messages=ASK, max_tokens=1)
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().object == "chat.completion"


def test_the_model_is_listed_and_found_by_its_name(sdk: openai.OpenAI) -> None:
    [listed] = sdk.models.list().data
    assert sdk.models.retrieve(listed.id) == listed
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.models.retrieve("gpt-of-tomorrow")
    assert missing.value.code == "model_not_found"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "several answers": ({"n": 2}, "n"),
    "no answer": ({"n": 0}, "n"),
    "logprobs": ({"logprobs": True}, "logprobs"),
    "top logprobs": ({"top_logprobs": 3}, "top_logprobs"),
    "speech": ({"audio": {"format": "mp3", "voice": "x"}}, "audio"),
    "spoken": ({"modalities": ["text", "audio"]}, "modalities"),
    "functions": ({"functions": [{"name": "look"}]}, "functions"),
    "search": ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
    "no messages": ({"messages": []}, "messages"),
    "odd role": ({"messages": [{"role": "oracle", "content": "hi"}]}, "messages[0].role"),
    "function turn": ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
    "odd content": ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    "odd part": ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
    "custom tool": ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].function.name"),
    "name of a tool": (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "tools[0].function.name",
    ),
    "required without tools": ({"tool_choice": "required"}, "tool_choice"),
    "odd choice": ({"tools": [LOOK], "tool_choice": "sometimes"}, "tool_choice"),
    "missing tool": (
        {"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "go"}}},
        "tool_choice",
    ),
    "odd format": ({"response_format": {"type": "yaml"}}, "response_format.type"),
    "no schema": ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    "hot": ({"temperature": 3}, "temperature"),
    "top_p": ({"top_p": 1.5}, "top_p"),
    "penalty": ({"presence_penalty": 3}, "presence_penalty"),
    "no tokens": ({"max_tokens": 0}, "max_tokens"),
    "less than none": ({"max_completion_tokens": -1}, "max_completion_tokens"),
    "odd budget": ({"extra_body": {"thinking_token_budget": -2}}, "thinking_token_budget"),
    "empty stop": ({"stop": [""]}, "stop[0]"),
    "odd bias": ({"logit_bias": {"5": 1000}}, "logit_bias.5"),
    "odd seed": ({"seed": True}, "seed"),
    "template": (
        {"extra_body": {"chat_template_kwargs": {"messages": []}}},
        "chat_template_kwargs.messages",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(sdk: openai.OpenAI, name: str) -> None:
    fields, param = REFUSED[name]
    stream = len(name) % 2 == 0
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(**({"model": "any", "messages": ASK, "stream": stream} | fields))
    error = refused.value
    assert (error.type, error.param) == ("invalid_request_error", param)
    assert error.body
    assert param.split("[")[0].split(".")[0] in str(error)


def test_other_paths_say_what_to_do_instead(sdk: openai.OpenAI) -> None:
    asks: list[Any] = [
        lambda: sdk.completions.create(model="any", prompt="hi"),
        lambda: sdk.responses.create(model="any", input="hi"),
        lambda: sdk.embeddings.create(model="any", input="hi"),
        lambda: sdk.batches.list(),
        lambda: sdk.files.list(),
    ]
    for ask in asks:
        with pytest.raises(openai.NotFoundError, match="not supported by this engine"):
            ask()


FEW = 40
EXAMPLES = examples(FEW)
ANYTHING = any_json(10**30)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "refusal", "image_url", "input_audio", "file"]) | ANYTHING},
    optional={"text": ANYTHING, "image_url": ANYTHING, "refusal": ANYTHING},
)
CALLS = st.fixed_dictionaries(
    {"id": ANYTHING, "function": st.fixed_dictionaries({"name": st.just("look"), "arguments": ANYTHING})}
)
TURNS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "developer", "tool", "oracle"]),
        "content": st.text(max_size=5) | st.lists(PARTS, max_size=3) | ANYTHING,
    },
    optional={
        "tool_calls": st.lists(CALLS, max_size=2) | ANYTHING,
        "tool_call_id": ANYTHING,
        "reasoning_content": ANYTHING,
        "name": ANYTHING,
    },
)
TOOLS = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["look", "a b", ""])},
            optional={"parameters": ANYTHING, "description": ANYTHING, "strict": ANYTHING},
        )
        | ANYTHING
    },
    optional={"type": st.just("function") | ANYTHING},
)
OWN = {"top_k": 5, "min_p": 0.1, "chat_template_kwargs": {}, "thinking_token_budget": 3}
BODIES = st.fixed_dictionaries(
    {"messages": st.lists(TURNS, min_size=1, max_size=4) | ANYTHING},
    optional={
        **{name: st.just(value) | ANYTHING for name, value in (FIELDS | OWN).items() if name != "messages"},
        "tools": st.lists(TOOLS, max_size=3) | ANYTHING,
        "continue_final_message": st.booleans() | ANYTHING,
        "stream": st.booleans(),
    },
)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES == FEW)
@given(body=BODIES | ANYTHING)
def test_any_body_is_answered_or_refused(served: Child, sdk: openai.OpenAI, body: Any) -> None:
    if isinstance(body, dict):
        body = {"max_tokens": 9} | body
    http: httpx.Client = sdk._client
    answer = http.post(f"{served.url}/v1/chat/completions", json=body)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert error["message"]
    assert "Traceback" not in served.log_tail()
    assert "server_error" not in answer.text
