"""The unmodified `openai` package on the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.e2e.conftest import CALL_ARGUMENTS, CALL_TEXT, SPEECH, Host

pytestmark = pytest.mark.slow

QUESTION: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather?"},
]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of the coming days.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def client_of(host: Host) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{host.engine_url}/v1", api_key="any", max_retries=0, timeout=30)


@pytest.fixture
def says(speaker: Host) -> Iterator[openai.OpenAI]:
    with client_of(speaker) as client:
        yield client


@pytest.fixture
def calls(caller: Host) -> Iterator[openai.OpenAI]:
    with client_of(caller) as client:
        yield client


def test_the_model_is_listed(says: openai.OpenAI) -> None:
    (model,) = says.models.list().data
    assert model.object == "model"


def test_a_whole_answer_has_text_finish_reason_and_usage(says: openai.OpenAI) -> None:
    answer = says.chat.completions.create(model="any", messages=QUESTION)

    assert answer.choices[0].index == 0
    assert answer.choices[0].message.content == SPEECH
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_answer_is_the_same_text_in_pieces_and_ends_with_usage(says: openai.OpenAI) -> None:
    chunks = list(
        says.chat.completions.create(
            model="any", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    with_choice = [chunk for chunk in chunks if chunk.choices]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in with_choice) == SPEECH
    assert len(with_choice) > 2
    assert with_choice[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None


def test_no_chunk_holds_a_field_that_the_package_does_not_know(calls: openai.OpenAI) -> None:
    stream = calls.chat.completions.create(model="any", messages=QUESTION, tools=[WEATHER], stream=True)
    for chunk in stream:
        assert _unknown_fields(chunk) == []


def _unknown_fields(chunk: ChatCompletionChunk) -> list[str]:
    parts: list[Any] = [chunk, *chunk.choices, *(choice.delta for choice in chunk.choices)]
    return [field for part in parts for field in part.model_extra or {}]


def test_a_tool_call_comes_whole(calls: openai.OpenAI) -> None:
    answer = calls.chat.completions.create(model="any", messages=QUESTION, tools=[WEATHER])

    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == CALL_ARGUMENTS
    assert (answer.choices[0].message.content or "").strip() == CALL_TEXT.strip()
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_tool_call_comes_streamed(calls: openai.OpenAI) -> None:
    with calls.chat.completions.stream(model="any", messages=QUESTION, tools=[WEATHER]) as stream:
        answer = stream.get_final_completion()

    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.id
    assert json.loads(call.function.arguments) == CALL_ARGUMENTS
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_conversation_goes_on_after_a_tool_result(calls: openai.OpenAI) -> None:
    first = calls.chat.completions.create(model="any", messages=QUESTION, tools=[WEATHER])
    (call,) = first.choices[0].message.tool_calls or ()
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    messages = [*QUESTION, first.choices[0].message.model_dump(exclude_none=True), result]

    second = calls.chat.completions.create(model="any", messages=messages, tools=[WEATHER])

    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.prompt_tokens > first.usage.prompt_tokens
    assert second.usage.prompt_tokens_details is not None
    assert (second.usage.prompt_tokens_details.cached_tokens or 0) > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_stop_sequence_ends_the_answer_before_it(says: openai.OpenAI, stream: bool) -> None:
    answer: Any = says.chat.completions.create(model="any", messages=QUESTION, stop=["STOP"], stream=stream)
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    else:
        text = answer.choices[0].message.content
    assert text == SPEECH.partition("STOP")[0]


def test_max_tokens_ends_the_answer_with_length(says: openai.OpenAI) -> None:
    answer = says.chat.completions.create(model="any", messages=QUESTION, max_tokens=3)

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize(
    "wrong",
    [{"messages": []}, {"max_tokens": -1}, {"temperature": "hot"}, {"messages": [{"content": "Hi."}]}],
    ids=["no messages", "negative length", "temperature in words", "message without a role"],
)
def test_a_wrong_request_is_a_typed_error_with_a_message(says: openai.OpenAI, wrong: dict[str, Any]) -> None:
    with pytest.raises((openai.BadRequestError, openai.UnprocessableEntityError)) as refused:
        says.chat.completions.create(**({"model": "any", "messages": QUESTION} | wrong))
    assert refused.value.body
    assert len(str(refused.value)) > 20


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(says: openai.OpenAI) -> None:
    long: list[Any] = [{"role": "user", "content": "word " * 50_000}]
    with pytest.raises(openai.BadRequestError, match="32768"):
        says.chat.completions.create(model="any", messages=long)
