"""`max_tokens` is what is left of the window, and the window is learnt where the upstream names it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from proxy.backends.openai import OpenAIBackend
from proxy.backends.upstream import (
    Finish,
    Note,
    PromptCount,
    TextDelta,
    TokenEstimates,
    UpstreamEvent,
    UpstreamRequest,
)
from proxy.backends.upstream_window import UpstreamWindow
from proxy.events.errors import ContextOverflow
from tests.proxy.live import serve


class VllmLike:
    """Counts a token for four bytes, and refuses what does not fit into its window, in vLLM's words."""

    def __init__(self, window: int, *, listed: Any = None) -> None:
        self.window = window
        self.listed = listed
        self.bodies: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/v1/models", self.models),
            ]
        )

    async def models(self, request: Request) -> Response:
        if self.listed is None:
            return JSONResponse({"error": {"message": "Not Found"}}, 404)
        return JSONResponse({"data": self.listed})

    async def complete(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        self.bodies.append(body)
        prompt, wanted = len(orjson.dumps(body["messages"])) // 4, body["max_tokens"]
        if prompt + wanted > self.window:
            message = (
                f"'max_tokens' or 'max_completion_tokens' is too large: {wanted}. This model's maximum "
                f"context length is {self.window} tokens and your request has {prompt} input tokens "
                f"({wanted} > {self.window} - {prompt})."
            )
            return JSONResponse({"object": "error", "message": message, "code": 400}, 400)
        usage = {"prompt_tokens": prompt, "completion_tokens": 2}
        early = {"usage": usage} if body["stream_options"].get("continuous_usage_stats") else {}
        chunks = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], **early},
            {"choices": [{"index": 0, "delta": {"content": "so"}, "finish_reason": None}], **early},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], **early},
            {"choices": [], "usage": usage},
        ]
        lines = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
        return StreamingResponse(iter([*lines, b"data: [DONE]\n\n"]), media_type="text/event-stream")


def request(size: int, max_tokens: int = 32_000) -> UpstreamRequest:
    messages = [{"role": "user", "content": "x" * size}]
    return UpstreamRequest({"model": "m", "messages": messages, "max_tokens": max_tokens}, "req_1")


async def steps_of(backend: OpenAIBackend, request: UpstreamRequest) -> list[UpstreamEvent]:
    steps = [step async for batch in backend.stream(request) for step in batch]
    return [step for step in steps if not isinstance(step, TokenEstimates)]


async def test_only_the_first_request_is_refused_and_no_client_sees_it() -> None:
    server = VllmLike(40_000)
    async with serve(server.app()) as url:
        backend = OpenAIBackend(f"{url}/v1", "m")
        first = await steps_of(backend, request(60_000))
        second = await steps_of(backend, request(64_000))
        small = await steps_of(backend, request(400, 100))
        await backend.close()
    limits = [body["max_tokens"] for body in server.bodies]
    exact = 40_000 - len(orjson.dumps(server.bodies[0]["messages"])) // 4
    assert limits[:2] == [32_000, exact]
    assert (len(limits), limits[3]) == (4, 100)
    assert 23_000 < limits[2] < 24_000  # within the margin of the estimate
    assert first[0] == Note(
        f"max_tokens was 32000, of which {exact} are left beside the prompt in the window of 40000"
    )
    assert backend.context_tokens == 40_000
    # Its end is the window's, not the limit that the client set.
    assert [step.reason for step in (first[-1], second[-1]) if isinstance(step, Finish)] == [
        "context_length"
    ] * 2
    assert not any(isinstance(step, Note) for step in small)


async def test_a_prompt_that_does_not_fit_by_itself_is_an_overflow() -> None:
    server = VllmLike(10_000)
    async with serve(server.app()) as url:
        backend = OpenAIBackend(f"{url}/v1", "m")
        with pytest.raises(ContextOverflow, match="prompt is too long: 15"):
            await steps_of(backend, request(60_000))
        await backend.close()
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("entry", "window", "early"),
    [
        ({"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 4096, "n_ctx_train": 8192}}, 4096, False),
        ({"id": "m", "owned_by": "vllm", "max_model_len": 40_960}, 40_960, True),
        ({"id": "m", "owned_by": "sglang", "max_model_len": 32_768}, 32_768, True),
        ({"id": "m", "context_length": 262_144, "top_provider": {}}, 262_144, False),
        ({"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072}}, 0, False),
        ({"id": "other", "owned_by": "vllm", "max_model_len": 40_960}, 0, False),
        ({"id": "m", "max_model_len": "many"}, 0, False),
    ],
)
async def test_the_list_of_models_names_the_window(entry: dict[str, Any], window: int, early: bool) -> None:
    server = VllmLike(100_000, listed=[entry])
    async with serve(server.app()) as url:
        backend = OpenAIBackend(f"{url}/v1", "m")
        assert await backend.model_name() == "m"
        steps = await steps_of(backend, request(400, 100))
        await backend.close()
    assert backend.context_tokens == window
    passes_unknown_calls = entry["id"] == "m" and entry.get("owned_by") == "vllm"
    assert backend.dialect.late_tools == ("text" if passes_unknown_calls else "listed")
    # The prompt's count comes before the first text only where the server is known to send it.
    assert isinstance(steps[0], PromptCount if early else TextDelta)


async def test_a_window_of_the_users_own_is_kept_and_a_list_is_not_needed() -> None:
    listed = [{"id": "m", "max_model_len": 40_960}]
    for server, window in ((VllmLike(100_000, listed=listed), 30_000), (VllmLike(100_000), 30_000)):
        async with serve(server.app()) as url:
            backend = OpenAIBackend(f"{url}/v1", "m", context_tokens=window)
            assert await backend.model_name() == "m"
            await backend.close()
        assert backend.context_tokens == window


def test_pictures_do_not_count_as_text() -> None:
    window = UpstreamWindow(50_000)
    text = {"role": "user", "content": [{"type": "text", "text": "x" * 40_000}]}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}
    seen = {"role": "user", "content": [picture]}
    window.measured({"messages": [text]}, 10_000)
    plain = window.left_for({"messages": [text], "max_tokens": 9})
    assert plain - 200 < window.left_for({"messages": [text, seen], "max_tokens": 9}) <= plain


def test_an_estimate_that_leaves_little_is_not_used() -> None:
    window = UpstreamWindow(12_000)
    body = {"messages": [{"role": "user", "content": "x" * 40_000}], "max_tokens": 32_000}
    assert window.left_for(body) == 0
    window.measured(body, 10_000)
    assert window.left_for(body) == 0
