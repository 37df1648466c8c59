from __future__ import annotations

from typing import Any

import pytest

from proxy.events.types import ErrorInfo, Usage
from proxy.traces.request_replay import (
    NoReplay,
    compared,
    new_answer,
    redacted_places,
    replay_body,
    stored_answer,
)
from proxy.traces.schema import TraceRequest, TraceResponse
from tests.proxy.trace_making import body_of, trace_of

MESSAGE = {
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Sure."},
        {"type": "tool_use", "name": "Read", "input": {"path": "a"}},
        {"type": "image"},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "output_tokens": 4, "other": "x"},
}
PARTS = ("[thinking] hm", "Sure.", '[call] Read {"path":"a"}', "[image]")


def test_the_body_is_asked_as_it_was_but_in_one_piece_and_without_its_session() -> None:
    trace = trace_of(1)
    trace.request.body |= {"metadata": {"user_id": "s"}, "temperature": 0}
    body = replay_body(trace)
    assert (body["stream"], body["temperature"], body["tools"]) == (False, 0, [{"name": "Read"}])
    assert "metadata" not in body
    assert trace.request.body["stream"] is True  # the trace stays as it was


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/messages/count_tokens", body_of("a")), ("/v1/messages", None), ("/v1/messages", {"messages": []})],
)
def test_what_asked_for_no_answer_cannot_be_asked_again(path: str, body: Any) -> None:
    trace = trace_of(1)
    trace.request = TraceRequest(path=path, body=body)
    with pytest.raises(NoReplay, match="req_0001 asked for no answer"):
        replay_body(trace)


def test_secrets_that_are_missing_are_counted() -> None:
    assert redacted_places(body_of("a [redacted] b", "[redacted]")) == 2


def test_both_answers_are_told_alike() -> None:
    then = stored_answer(trace_of(1, response=TraceResponse(status=200, message=MESSAGE), upstream_model="q"))
    now = new_answer(200, MESSAGE, model="q", duration_s=2.0)
    assert then.parts == now.parts == PARTS
    assert (then.stop_reason, now.stop_reason) == ("tool_use", "tool_use")
    assert (then.model, then.ttft_s, now.ttft_s, then.duration_s) == ("q", 0.5, None, 2.0)
    assert now.usage == Usage(input_tokens=3, output_tokens=4)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (529, {"error": {"type": "overloaded_error", "message": "full"}}, "overloaded_error: full"),
        (502, None, "HTTP 502"),
        (200, None, ""),
    ],
)
def test_an_error_is_told(status: int, body: Any, error: str) -> None:
    assert new_answer(status, body, model="m", duration_s=1.0).error == error


def test_the_error_of_then_is_told() -> None:
    failed = TraceResponse(status=500, error=ErrorInfo(type="api_error", message="broke off"))
    assert stored_answer(trace_of(1, response=failed)).error == "api_error: broke off"


REFUSED = {"error": {"type": "rate_limit_error", "message": "slow down"}}
BROKEN = {"error": {"type": "api_error", "message": "boom"}}


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (MESSAGE, MESSAGE, (True, "Both answers are the same.")),
        (
            MESSAGE,
            MESSAGE | {"content": MESSAGE["content"][:1]},
            (False, "The answers differ from line 2 on."),
        ),
        (REFUSED, REFUSED, (True, "Both failed, with the same error.")),
        (REFUSED, BROKEN, (False, "Both failed, with different errors.")),
        (REFUSED, MESSAGE, (False, "Then it did not come to its end, now it did.")),
        (MESSAGE, REFUSED, (False, "Then it was answered, now it failed.")),
    ],
)
def test_answers_are_compared_where_there_are_two(
    then: dict[str, Any], now: dict[str, Any], said: tuple[bool, str]
) -> None:
    one, other = (
        new_answer(429 if "error" in body else 200, body, model="m", duration_s=1.0) for body in (then, now)
    )
    assert compared(one, other) == said
