from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.anthropic.messages import check_message_request, check_prompt, parse_body
from proxy.events.errors import InvalidRequest
from tests.proxy.live import body

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "Read", "input_schema": {"type": "object"}}


def turn(*blocks: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": list(blocks)}])


def nested(levels: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(levels):
        block = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
    return block


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 1, "messages": [USER]}, "model"),
    (body(model=3), "model"),
    (body(messages=None), "messages: Field required"),
    (body(messages="hi"), "messages: must be a list, not a string"),
    (body(messages=[]), "messages: at least one"),
    (body(messages=["hi"]), "messages.0: must be an object"),
    (body(messages=[USER, {"content": "hi"}]), "messages.1.role"),
    (body(messages=[{"role": "user"}]), "messages.0.content: Field required"),
    (body(messages=[{"role": "user", "content": 7}]), "messages.0.content: must be a string or a list"),
    (body(messages=[{"role": "assistant", "content": "hi"}]), "role user"),
    (turn("hi"), "messages.0.content.0: must be a content block"),
    (turn({"text": "hi"}), "messages.0.content.0.type"),
    (turn({"type": "text"}), "messages.0.content.0.text"),
    (turn({"type": "tool_use", "id": "a", "name": "Read"}), "messages.0.content.0.input"),
    (turn({"type": "tool_result"}), "messages.0.content.0.tool_use_id"),
    (
        turn({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}),
        "messages.0.content.0.content.0.text",
    ),
    (
        turn({"type": "tool_result", "tool_use_id": "a", "content": {"type": "text", "text": "hi"}}),
        "messages.0.content.0.content: must be a string or a list of content blocks, not an object",
    ),
    (turn({"type": "tool_result", "tool_use_id": "a", "content": 3}), "messages.0.content.0.content"),
    (turn(nested(60)), "messages: the content blocks are nested too deeply"),
    ({"model": "m", "messages": [USER]}, "max_tokens: Field required"),
    (body(max_tokens=-1), "max_tokens: must be an integer of at least 0, not -1"),
    (body(max_tokens=-4), "max_tokens"),
    (body(max_tokens="100"), "max_tokens"),
    (body(max_tokens=True), "max_tokens"),
    (body(system=4), "system: must be a string or a list"),
    (body(system=[{"type": "text"}]), "system.0.text"),
    (body(tools={}), "tools: must be a list"),
    (body(tools=[3]), "tools.0: must be an object"),
    (body(tools=[TOOL, {"input_schema": {}}]), "tools.1.name"),
    (body(tools=[{"name": "", "input_schema": {}}]), "tools.0.name"),
    (body(tools=[{"name": "Read"}]), "tools.0.input_schema"),
    (body(tool_choice={}), "tool_choice.type"),
    (body(tool_choice={"type": "tool"}), "tool_choice.name: Field required"),
    (
        body(tools=[TOOL], tool_choice={"type": "tool", "name": "Gone"}),
        "tool_choice.name: 'Gone' is not among the request's tools",
    ),
    (body(tool_choice={"type": "tool", "name": "Read"}), "tool_choice.name: 'Read' is not among"),
    (body(tools=[], tool_choice={"type": "any"}), "tool_choice: a call of any tool is asked for"),
    (body(temperature="hot"), "temperature"),
    (body(temperature=3), "temperature: must be a number from 0 to 2, not 3"),
    (body(top_p=-1), "top_p"),
    (body(top_k=1.5), "top_k"),
    (body(stop_sequences="END"), "stop_sequences"),
    (body(stop_sequences=[""]), "stop_sequences"),
    (body(stream="yes"), "stream: must be true or false"),
]


@pytest.mark.parametrize(("broken", "place"), BROKEN)
def test_a_broken_body_is_refused_with_the_name_of_the_place(broken: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_message_request(broken)
    assert place in refused.value.message


TOLERATED: list[dict[str, Any]] = [
    body(),
    body(new_field={"of": "tomorrow"}, context_management={"edits": []}, betas=["x"]),
    body(messages=[USER, {"role": "oracle", "content": "mm"}]),
    body(messages=[USER, {"role": "system", "content": "note"}, {"role": "system", "content": []}]),
    turn({"type": "hologram", "data": 1}),
    turn({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}, "citations": None}),
    turn({"type": "tool_result", "tool_use_id": "a"}),
    turn({"type": "tool_result", "tool_use_id": "a", "content": "done", "is_error": None}),
    body(tools=[{"type": "web_search_20250305", "name": "web_search"}, TOOL | {"defer_loading": True}]),
    body(tools=None, tool_choice=None, temperature=None, stop_sequences=None, stream=None),
    body(tool_choice={"type": "tomorrow"}),
    body(tool_choice={"type": "auto"}),
    body(
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "tool", "name": "web_search"},
    ),
    body(thinking={"type": "adaptive", "display": "omitted"}),
]


@pytest.mark.parametrize("tolerated", TOLERATED)
def test_what_this_version_does_not_know_is_let_through(tolerated: dict[str, Any]) -> None:
    check_message_request(tolerated)


def test_counting_tokens_asks_for_no_limit_of_the_answer() -> None:
    check_prompt({"model": "m", "messages": [USER]})


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": "\\ud800"'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        parse_body(raw)


@pytest.mark.parametrize(
    ("raw", "place"), [(b"\xff", "0xff at 0"), ('{"a": "\xe9"}'.encode("latin-1"), "0xe9 at 7")]
)
def test_a_body_in_another_encoding_is_told_so(raw: bytes, place: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"it is not in UTF-8 \(byte {place}\)"):
        parse_body(raw)


@pytest.mark.parametrize(("raw", "kind"), [(b"[]", "a list"), (b"3", "a number"), (b"null", "null")])
def test_json_that_is_no_object_is_refused(raw: bytes, kind: str) -> None:
    with pytest.raises(InvalidRequest, match=f"not {kind}"):
        parse_body(raw)


def test_text_with_a_truncated_character_is_accepted() -> None:
    cut = json.dumps({"text": "smile \ud83d", "whole": "\U0001f600"}).encode()
    assert parse_body(cut) == {"text": "smile \ufffd", "whole": "\U0001f600"}
