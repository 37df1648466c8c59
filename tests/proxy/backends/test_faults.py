from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import httpx
import orjson
import pytest

from proxy.backends.faults import (
    ENGINE,
    error_in_stream,
    fault_of_connection,
    fault_of_status,
    refused_feature,
)
from proxy.backends.plain_http import PlainTransport
from proxy.events.causes import is_engine_fault
from proxy.events.errors import (
    ContextOverflow,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)


def fault(status: int, message: Any = "why", max_tokens: int = 0, **headers: str) -> UpstreamError:
    body = orjson.dumps({"error": {"message": message}} if isinstance(message, str) else message)
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return fault_of_status(status, body, renamed, "the test", max_tokens=max_tokens)


STATUSES = [
    (400, UpstreamRejected, 400),
    (401, UpstreamFailed, 500),
    (403, UpstreamFailed, 500),
    (404, UpstreamModelMissing, 404),
    (413, UpstreamRejected, 400),
    (422, UpstreamRejected, 400),
    (429, UpstreamRateLimited, 429),
    (500, UpstreamFailed, 500),
    (502, UpstreamUnavailable, 529),
    (503, UpstreamUnavailable, 529),
    (504, UpstreamUnavailable, 529),
    (529, UpstreamUnavailable, 529),
    (302, UpstreamFailed, 500),
]


@pytest.mark.parametrize(("status", "kind", "told"), STATUSES)
def test_statuses_become_what_the_client_should_do(status: int, kind: type[UpstreamError], told: int) -> None:
    error = fault(status)
    assert type(error) is kind
    assert error.status == told
    assert "the test" in error.message
    assert "why" in error.message


def test_a_refused_key_is_not_retried_and_says_what_to_do() -> None:
    error = fault(401, "bad key")
    assert error.headers == {"x-should-retry": "false"}
    assert "apiKey" in error.message


@pytest.mark.parametrize(
    ("header", "told"), [("7", "7"), ("0.5", "1"), ("900", "60"), ("soon", "2"), ("nan", "2"), ("-1", "2")]
)
def test_the_upstreams_retry_after_is_passed_on(header: str, told: str) -> None:
    assert fault(503, retry_after=header).headers["retry-after"] == told


OVERFLOWS: list[tuple[Any, int, str]] = [
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. "
        "Please reduce the length of the messages.",
        0,
        "prompt is too long: 9000 tokens > 8192",
    ),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 128000. This model's maximum context length "
        "is 32768 tokens and your request has 14600 input tokens (128000 > 32768 - 14600).",
        128000,
        "input length and `max_tokens` exceed context limit: 14600 + 128000 > 32768",
    ),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the "
        "messages, 500 in the completion). Please reduce the length of the messages or completion.",
        500,
        "prompt is too long: 4500 tokens > 4096",
    ),
    (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens "
        "(140000 of text input, 10000 in the output).",
        10000,
        "prompt is too long: 140000 tokens > 131072",
    ),
    (
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
        0,
        "prompt is too long: 5000 tokens > 4096",
    ),
    (
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        0,
        "prompt is too long: 5000 tokens > 4096",
    ),
    (
        "Trying to keep the first 6021 tokens when context the overflows. However, the model is loaded with "
        "context length of only 4096 tokens, which is not enough.",
        0,
        "prompt is too long: 6021 tokens > 4096",
    ),
    ({"error": {"message": "full", "code": "context_length_exceeded"}}, 0, "prompt is too long"),
    ("The context window was exceeded: exceeds the context window", 0, "prompt is too long"),
]


@pytest.mark.parametrize(("message", "max_tokens", "told"), OVERFLOWS)
def test_overflows_of_all_servers_are_told_in_the_words_that_start_compaction(
    message: Any, max_tokens: int, told: str
) -> None:
    error = fault(400, message, max_tokens)
    assert isinstance(error, ContextOverflow)
    assert error.message.startswith(told)


@pytest.mark.parametrize("body", [b"", b"<html>gone</html>", b"[1]", b'{"detail": [{"loc": 1}]}', b"\xff"])
def test_error_bodies_of_any_form_are_told(body: bytes) -> None:
    error = fault_of_status(500, body, {}, "the test")
    assert error.message.startswith("the test failed with status 500: ")
    assert len(error.message) > len("the test failed with status 500: ")


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (httpx.ConnectError("refused"), "cannot be reached (refused)"),
        (httpx.ConnectTimeout(""), "cannot be reached (ConnectTimeout)"),
        (httpx.ReadTimeout("no byte"), "silent for too long"),
        (httpx.ReadError(""), "was lost (ReadError)"),
        (httpx.RemoteProtocolError("cut"), "was lost (cut)"),
    ],
)
def test_a_lost_connection_asks_for_a_retry(lost: httpx.HTTPError, told: str) -> None:
    error = fault_of_connection(lost, "the test")
    assert isinstance(error, UpstreamUnavailable)
    assert told in error.message
    assert error.headers["retry-after"] == "2"


def no_route(inner: BaseException) -> httpx.ConnectError:
    """As a transport raises it, with what the system said as its cause."""
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = inner
    return error


UNREACHABLE = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))


@pytest.mark.parametrize(
    ("lost", "system", "named"),
    [
        (no_route(UNREACHABLE), "Darwin", True),
        (no_route(no_route(UNREACHABLE)), "Darwin", True),
        (httpx.ConnectError("Multiple exceptions: [Errno 65] No route to host, [Errno 61]"), "Darwin", True),
        (no_route(UNREACHABLE), "Linux", False),
        (no_route(ConnectionRefusedError(errno.ECONNREFUSED, "refused")), "Darwin", False),
        (httpx.ConnectTimeout("10 s"), "Darwin", False),
    ],
)
def test_a_mac_that_finds_no_route_is_asked_for_its_permission(
    lost: httpx.HTTPError, system: str, named: bool
) -> None:
    message = fault_of_connection(lost, "lmstudio", system=system).message
    assert message.startswith("lmstudio cannot be reached (")
    assert ("Privacy & Security > Local Network" in message) is named


async def test_the_transport_of_plain_http_lets_it_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: Any, **__: Any) -> None:
        raise UNREACHABLE

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", unreachable)
    async with httpx.AsyncClient(transport=PlainTransport()) as http:
        with pytest.raises(httpx.ConnectError) as lost:
            await http.get("http://192.0.2.1:1234/v1")
    assert "Local Network" in fault_of_connection(lost.value, "lmstudio", system="Darwin").message


@pytest.mark.parametrize(
    ("lost", "engine", "other"),
    [
        (httpx.ConnectError("refused"), "engine unreachable", "no upstream"),
        (httpx.ReadTimeout("slow"), "engine silent", "upstream silent"),
        (httpx.ReadError("reset"), "engine died", "connection lost"),
    ],
)
def test_a_lost_connection_has_a_cause_for_people(lost: httpx.HTTPError, engine: str, other: str) -> None:
    assert fault_of_connection(lost, ENGINE).info.cause == engine
    assert fault_of_connection(lost, "http://10.0.0.7:8000").info.cause == other


def test_a_full_queue_of_the_engine_is_named() -> None:
    full = b'{"error": {"message": "8 requests wait already; try again in a moment"}}'
    assert fault_of_status(503, full, {}, ENGINE).cause == "queue full"
    assert fault_of_status(503, b"", {}, "http://10.0.0.7:8000").cause == "upstream not ready"


def test_an_engine_that_ends_or_is_not_ready_is_a_fault_of_the_engine_and_named_once() -> None:
    for said in ("the engine is shutting down", "not yet"):
        ended = error_in_stream({"error": {"message": said, "type": "overloaded"}}, ENGINE)
        assert is_engine_fault(ended.cause), said
        assert ended.message.count("the engine") == 1


@pytest.mark.parametrize(
    ("message", "feature"),
    [
        ("thinking_token_budget is set but reasoning_config is not configured.", "limits_thinking"),
        ("chat_template is not supported for Mistral tokenizers.", "thinking"),
        ('"llama3.2:3b" does not support thinking', "thinking"),
        ('invalid reasoning value: "odd" (must be "minimal", "low")', "thinking"),
        ("Unsupported parameter: 'reasoning_effort' is not supported with this model.", "thinking"),
        ("Model does not support images.", "images"),
        ("max_tokens is too large", ""),
    ],
)
def test_what_a_server_or_its_model_does_not_take_is_known_by_its_words(message: str, feature: str) -> None:
    assert refused_feature(UpstreamRejected(message)) == feature
