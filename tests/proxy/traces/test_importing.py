from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.traces.importing import imported_trace
from proxy.traces.reading import TraceDamaged
from proxy.traces.redaction.redact import Redactor

MESSAGE = {
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 2, "extra": "x"},
}


OVERLOADED = {"type": "overloaded_error", "message": "full"}


def old(**fields: Any) -> bytes:
    """A file as earlier versions wrote it."""
    document = {
        "timestamp": "2025-11-03T10:20:30.456Z",
        "mode": "lmstudio",
        "request": {
            "method": "POST",
            "url": "/v1/messages?beta=true",
            "headers": {"X-Api-Key": "sk-ant-abcdefghijk", "X-Claude-Code-Session-Id": "s1"},
            "body": {"model": "claude-x", "messages": [{"role": "user", "content": "token ghp_" + "a" * 30}]},
        },
        "response": {"statusCode": 200, "headers": {}, "body": MESSAGE},
    }
    return json.dumps(document | fields, indent=2).encode()


def imported(content: bytes) -> Any:
    return imported_trace(content, "a.json", Redactor())


def test_a_file_becomes_a_trace_without_secrets() -> None:
    trace = imported(old())
    assert (trace.backend, trace.model, trace.session) == ("lmstudio", "claude-x", "s1")
    assert trace.time == pytest.approx(1762165230.456)
    assert (trace.request.path, trace.request.query) == ("/v1/messages", "beta=true")
    assert trace.request.headers["x-api-key"] == "[redacted]"
    assert trace.request.body["messages"][0]["content"] == "token [redacted]"
    assert trace.response.message["stop_reason"] == "end_turn"
    assert (trace.usage.input_tokens, trace.usage.cache_read_input_tokens, trace.usage.output_tokens) == (
        3,
        5,
        2,
    )
    assert "earlier version" in trace.notes[0]


def test_the_same_file_has_the_same_id() -> None:
    assert imported(old()).id == imported(old()).id != imported(old(mode="claude")).id


@pytest.mark.parametrize(
    ("response", "status", "error", "text"),
    [
        (None, 0, "api_error", None),
        ({"statusCode": 529, "body": {"error": OVERLOADED}}, 529, "overloaded_error", None),
        ({"statusCode": 200, "body": "event: message_start"}, 200, None, "event: message_start"),
        ({"statusCode": 200, "body": None}, 200, None, None),
        ({}, 0, None, None),
    ],
)
def test_every_kind_of_response_is_taken(
    response: Any, status: int, error: str | None, text: str | None
) -> None:
    answer = imported(old(response=response)).response
    assert answer.status == status
    assert (answer.error.type if answer.error else None) == error
    assert (answer.message["content"][0]["text"] if answer.message else None) == text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "a.json is no JSON"),
        (b"[]", "no request"),
        (old(request=3), "no request"),
        (old(timestamp="yesterday"), "no timestamp"),
        (old(timestamp=None), "no timestamp"),
    ],
)
def test_what_is_no_such_file_is_named(content: bytes, says: str) -> None:
    with pytest.raises(TraceDamaged, match=says):
        imported(content)


def test_a_credential_is_taken_out_wherever_an_answer_repeats_it() -> None:
    secret = "correct-horse-battery"
    refused = {"statusCode": 401, "body": {"error": {"type": secret, "message": f"no such key: {secret}"}}}
    headers = {"AUTHORIZATION": f"Bearer {secret}"}
    request = {"url": "/v1/messages", "headers": headers, "body": {"system": f"use {secret}"}}
    trace = imported(old(request=request, response=refused))
    assert secret not in trace.model_dump_json()


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "0001-01-01T00:00:00+14:00"},
        {"timestamp": "0999-01-01T00:00:00Z"},
        {"request": {"url": "http://[::1/v1/messages"}},
    ],
    ids=["before all calendars", "three digits", "an address that is none"],
)
def test_what_no_file_name_or_address_can_hold_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TraceDamaged, match=r"a\.json is no trace of an earlier version"):
        imported(old(**fields))


def test_a_mode_makes_no_folder_that_cannot_be() -> None:
    assert len(imported(old(mode="x" * 5000)).backend) == 64
