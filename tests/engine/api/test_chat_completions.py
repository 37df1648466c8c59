"""docs/chat-completions.md says of every part of the API what the engine makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from openai.types import ReasoningEffort, chat
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from typing_extensions import is_typeddict

from engine.api.json_body import InvalidChatRequest
from engine.api.other_fields import OTHER_PATHS, left_out, refuse_other_fields
from engine.api.requests import ROLES, parse_chat
from engine.wire.chat import content_text
from engine.wire.thinking_budget import EFFORT_TOKENS

DOC = (Path(__file__).parents[3] / "docs/chat-completions.md").read_text("utf-8")
LOOK = {"type": "function", "function": {"name": "look"}}
# For each field a value that a client may send.
FIELDS: dict[str, Any] = {
    "model": "any",
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [LOOK],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_completion_tokens": 9,
    "max_tokens": 9,
    "stop": ["END"],
    "temperature": 0.5,
    "top_p": 0.5,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"5": 1},
    "seed": 1,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "reasoning_effort": "low",
    "functions": [{"name": "look"}],
    "function_call": "auto",
    "audio": {"format": "mp3", "voice": "x"},
    "modalities": ["text", "audio"],
    "web_search_options": {"search_context_size": "low"},
}
HARMLESS = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "functions": [],
    "function_call": None,
    "audio": None,
    "modalities": ["text"],
    "web_search_options": None,
}


def rows(title: str, heading: str) -> dict[str, str]:
    """The names in the first cell of each row of a table, with the second cell."""
    section = DOC.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0].split(f"| {heading} |", 1)[1]
    lines = section.split("\n\n", 1)[0].splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    return {name: second.strip() for first, second, *_ in cells for name in re.findall(r"`([^`]+)`", first)}


FIELD_VERDICTS = rows("Fields", "field")
ROLE_VERDICTS = rows("Messages", "role")
PART_VERDICTS = rows("Messages", "part of the content")


def literals(annotation: Any, key: str) -> set[str]:
    """The values of a key of each object in a union."""
    if is_typeddict(annotation):
        annotation = get_type_hints(annotation)[key]
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return set().union(*(literals(each, key) for each in get_args(annotation)), set())


def test_each_part_of_the_api_has_its_row() -> None:
    assert set(FIELD_VERDICTS) == set(get_type_hints(CompletionCreateParamsStreaming))
    assert set(ROLE_VERDICTS) == literals(chat.ChatCompletionMessageParam, "role")
    assert set(PART_VERDICTS) == literals(chat.ChatCompletionContentPartParam, "type") | {"refusal"}
    assert set(rows("Other paths", "path")) == set(OTHER_PATHS)
    found = {*FIELD_VERDICTS.values(), *ROLE_VERDICTS.values(), *PART_VERDICTS.values()}
    assert found <= {"accepted", "mapped", "left out", "refused"}
    assert set(EFFORT_TOKENS) == literals(ReasoningEffort, "")


@pytest.mark.parametrize("name", sorted(FIELD_VERDICTS))
def test_a_field_is_treated_as_its_row_says(name: str) -> None:
    body = {"messages": FIELDS["messages"], "tools": [LOOK], name: FIELDS.get(name, "x")}

    def parse(body: dict[str, Any]) -> None:
        refuse_other_fields(body)
        parse_chat(body)

    if FIELD_VERDICTS[name] == "refused":
        with pytest.raises(InvalidChatRequest) as refused:
            parse(body)
        assert refused.value.param == name
        assert str(refused.value.code).startswith("unsupported_")
        body[name] = HARMLESS[name]
    parse(body)
    assert bool(left_out(body)) is (FIELD_VERDICTS[name] == "left out")


@pytest.mark.parametrize("role", sorted(ROLE_VERDICTS))
def test_a_role_is_treated_as_its_row_says(role: str) -> None:
    assert (role in ROLES) is (ROLE_VERDICTS[role] != "refused")


@pytest.mark.parametrize("kind", sorted(PART_VERDICTS))
def test_a_part_reaches_the_model_as_its_row_says(kind: str) -> None:
    read = content_text([{"type": kind, kind: "WORD"}, "."])
    assert read != "."
    assert ("WORD" in read) is (PART_VERDICTS[kind] == "accepted")


def test_fields_of_other_servers_are_noted() -> None:
    assert left_out({"cache_prompt": True, "transforms": [], "min_p": 0.1, "user": "u", "store": None}) == [
        "left out fields that mean nothing to this engine: cache_prompt, transforms"
    ]
