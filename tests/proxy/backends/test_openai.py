"""What goes out to OpenAI-compatible servers, and the answers of those that do not stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.backends.claude import ClaudeBackend
from proxy.backends.factory import make_backend
from proxy.backends.mlx import MlxBackend
from proxy.backends.openai import OpenAIBackend
from proxy.backends.upstream import (
    Finish,
    TextDelta,
    ThinkingDelta,
    TokenEstimates,
    ToolCallDelta,
    UpstreamRequest,
)
from proxy.configuration.settled import HostConfig
from proxy.events.errors import UpstreamFailed, UpstreamModelMissing, UpstreamUnavailable
from tests.proxy.live import Upstream, says, serve

REQUEST = UpstreamRequest({"model": "m", "messages": [{"role": "user", "content": "hi"}]}, "req_1")


async def test_usage_is_asked_for_and_the_key_is_sent() -> None:
    upstream = Upstream(says("hi"))
    async with serve(upstream) as url:
        backend = OpenAIBackend(f"{url}/v1/", "m", key="sk-1")
        steps = [step async for batch in backend.stream(REQUEST) for step in batch]
        await backend.close()
    assert steps == [
        TokenEstimates(0, 0.0),
        TextDelta("hi"),
        Finish("stop", prompt_tokens=7, output_tokens=3),
    ]
    assert upstream.bodies == [{**REQUEST.body, "stream": True, "stream_options": {"include_usage": True}}]
    headers = dict(upstream.requests[0]["headers"])
    assert headers[b"authorization"] == b"Bearer sk-1"
    assert b"x-anyclaude-feed" not in headers


async def test_a_server_that_does_not_stream_is_understood() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
    message = {"role": "assistant", "content": "so", "reasoning": "hm", "tool_calls": [call]}
    whole = {
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    upstream = Upstream([orjson.dumps(whole)], content_type="application/json")
    async with serve(upstream) as url:
        backend = OpenAIBackend(f"{url}/v1", "m")
        steps = [step async for batch in backend.stream(REQUEST) for step in batch]
        await backend.close()
    assert steps == [
        TokenEstimates(0, 0.0),
        ThinkingDelta("hm"),
        TextDelta("so"),
        ToolCallDelta(0, "{}", "c", "Read"),
        Finish("tool_calls", prompt_tokens=7, output_tokens=3),
    ]


@pytest.mark.parametrize(
    ("page", "title"),
    [
        (b"<!DOCTYPE html><html><head><title>Sign\n in</title></head>", ' ("Sign in")'),
        (b"<html><h1>It works</h1>", ""),
        (b"\xff\xfe", ""),
    ],
)
async def test_a_web_page_is_no_answer_that_was_broken_off(page: bytes, title: str) -> None:
    async with serve(Upstream([page], content_type="text/html; charset=utf-8")) as url:
        backend = OpenAIBackend(f"{url}/v1", "m")
        with pytest.raises(UpstreamFailed) as failed:
            [step async for batch in backend.stream(REQUEST) for step in batch]
        await backend.close()
    assert failed.value.message.startswith(f"openai answered with a web page{title}, not as a model's server")
    assert failed.value.cause == "no model there"
    assert failed.value.headers == {"x-should-retry": "false"}


async def test_without_a_model_the_first_that_is_listed_answers() -> None:
    listed = {"/v1/models": {"data": [{"id": "first"}, {"id": "second"}]}}
    async with serve(Upstream(other=listed)) as url:
        backend = OpenAIBackend(f"{url}/v1", "")
        assert backend.model == ""
        assert await backend.model_name() == "first"
        assert await backend.models() == ["first"]
        assert backend.model == "first"
        await backend.close()


@pytest.mark.parametrize("listed", [{}, {"/v1/models": {"data": [{"id": "first"}]}}])
async def test_a_chosen_model_is_the_only_one_that_is_offered_also_where_the_server_does_not_list_it(
    listed: dict[str, Any],
) -> None:
    async with serve(Upstream(other=listed)) as url:
        backend = OpenAIBackend(f"{url}/v1", "chosen")
        assert await backend.models() == ["chosen"]
        await backend.close()


async def test_a_server_without_models_is_told_of() -> None:
    async with serve(Upstream(other={"/v1/models": {"data": []}})) as url:
        backend = OpenAIBackend(f"{url}/v1", "")
        with pytest.raises(UpstreamModelMissing, match="lists no model"):
            await backend.model_name()
        await backend.close()


@pytest.mark.parametrize(
    ("name", "asked", "late_tools"),
    [
        ("vllm", "auto", "text"),
        ("vllm/zai-org/GLM-4.7", "auto", "listed"),
        ("vllm/MiniMaxAI/MiniMax-M2", "auto", "listed"),
        ("vllm/MiniMaxAI/MiniMax-M2", "text", "text"),
        ("vllm", "list", "listed"),
        ("lmstudio", "auto", "listed"),
        ("lmstudio", "text", "text"),
        ("openai", "auto", "listed"),
    ],
)
async def test_late_tools_go_where_the_server_takes_calls_of_them(
    tmp_path: Path, name: str, asked: str, late_tools: str
) -> None:
    url = "http://127.0.0.1:9/v1"
    name, _, model = name.partition("/")
    config = HostConfig(home=tmp_path, backend="openai", backend_name=name, backend_url=url, model=model)
    backend = make_backend(replace(config, upstream_late_tools=asked), str)
    assert isinstance(backend, OpenAIBackend)
    assert backend.dialect.late_tools == late_tools
    await backend.close()


@pytest.mark.parametrize(
    ("owner", "told", "late_tools", "sent"),
    [
        ("vllm of GLM-4.7", "vllm", "listed", {}),
        ("vllm", "vllm", "text", {"stream_options": {"continuous_usage_stats": True, "include_usage": True}}),
        (
            "sglang",
            "sglang",
            "listed",
            {"stream_options": {"continuous_usage_stats": True, "include_usage": True}},
        ),
        ("llamacpp", "llama.cpp", "listed", {"return_progress": True, "timings_per_token": True}),
        ("library", "", "listed", {"stream_options": {"include_usage": True}}),
        (["odd"], "", "listed", {"stream_options": {"include_usage": True}}),
    ],
)
async def test_a_server_is_spoken_to_as_the_owner_of_its_models(
    owner: Any, told: str, late_tools: str, sent: dict[str, Any]
) -> None:
    owner, _, root = owner.partition(" of ") if isinstance(owner, str) else (owner, "", "")
    entry = {"id": "m", "owned_by": owner, "root": root}
    upstream = Upstream(says("hi"), other={"/v1/models": {"data": [entry]}})
    async with serve(upstream) as url:
        backend = OpenAIBackend(f"{url}/v1", "")
        await backend.model_name()
        async for _ in backend.stream(REQUEST):
            pass
        await backend.close()
    assert (backend.dialect.thinking, backend.dialect.late_tools) == (told, late_tools)
    assert backend.dialect.top_k == bool(told)
    assert sent.items() <= upstream.bodies[0].items()


async def test_openai_itself_is_known_by_its_host() -> None:
    for url, told in (("https://api.openai.com/v1", "openai"), ("https://api.openai.example/v1", "")):
        backend = OpenAIBackend(url, "m")
        assert backend.dialect.thinking == told
        await backend.close()


async def test_the_configuration_makes_its_backend(tmp_path: Path) -> None:
    engine = make_backend(HostConfig(home=tmp_path), str)
    other = make_backend(HostConfig(home=tmp_path, backend="openai", backend_name="lmstudio"), str)
    forward = make_backend(HostConfig(home=tmp_path, backend="claude", backend_name="claude"), str)
    asked = HostConfig(
        home=tmp_path, backend="openai", backend_name="mine", backend_url="http://127.0.0.1:9/v1"
    )
    takes_system = make_backend(replace(asked, upstream_system_turns=True), str)
    apart = make_backend(HostConfig(home=tmp_path, project_text_behind_tools=True), str)
    assert isinstance(engine, MlxBackend)
    assert isinstance(apart, MlxBackend)
    assert (engine.dialect.project_text, apart.dialect.project_text) == (False, True)
    assert isinstance(other, OpenAIBackend)
    assert isinstance(forward, ClaudeBackend)
    assert isinstance(takes_system, OpenAIBackend)
    assert (other.name, other.dialect.system_turns) == ("lmstudio", False)
    assert takes_system.dialect.system_turns
    with pytest.raises(ValueError, match="needs a base URL"):
        make_backend(HostConfig(home=tmp_path, backend="openai", backend_name="mine"), str)
    for backend in (engine, apart, other, forward, takes_system):
        await backend.close()


async def test_requests_follow_the_engine_from_port_to_port(tmp_path: Path) -> None:
    first, second = Upstream(says("one")), Upstream(says("two"))
    async with serve(first) as one, serve(second) as two:
        listens_at = ["", one, two]
        backend = make_backend(HostConfig(home=tmp_path), lambda: listens_at[0])
        assert isinstance(backend, MlxBackend)
        with pytest.raises(UpstreamUnavailable, match="not up yet"):
            await backend.models()
        with pytest.raises(UpstreamUnavailable, match="not up yet"):
            await anext(backend.stream(REQUEST))
        said = []
        for _ in (one, two):
            listens_at.pop(0)
            said += [step async for batch in backend.stream(REQUEST) for step in batch]
        await backend.close()
    assert [step.text for step in said if isinstance(step, TextDelta)] == ["one", "two"]
