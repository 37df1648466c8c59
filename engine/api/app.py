"""The engine's HTTP side: OpenAI's API in front of the model's loop."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast, get_args
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from engine import bundled_model
from engine.answers.reader import AnswerText
from engine.answers.repetition import LoopGuard
from engine.api.cache_routes import cache_routes
from engine.api.engine import Engine, NotReady
from engine.api.health import health_report
from engine.api.json_body import InvalidChatRequest, parse_body
from engine.api.other_fields import OTHER_PATHS, left_out, refuse_other_fields
from engine.api.requests import parse_chat
from engine.api.responses import ChatResponse, ChatStream, Remember, WholeChat
from engine.api.running_answer import RunningAnswer
from engine.models.detokenizer import answer_detokenizer
from engine.process.loopback import PageGuard
from engine.prompts.rendering import PromptRefused, RenderedPrompt
from engine.scheduling.requests.steps import GenerationRequest, Lane
from engine.wire.abandoned import request_key
from engine.wire.chat import (
    CONTEXT_LENGTH_EXCEEDED,
    LANE_HEADER,
    RESUME_HEADER,
    SESSION_HEADER,
    CompletionHead,
    context_length_message,
    error_body,
)
from engine.wire.feed import FEED_HEADER, PartTokens

MOST_SESSION_CHARACTERS = 120  # of a session's name


def create_app(engine: Engine, *, bound_host: str = "127.0.0.1") -> Starlette:
    """The application; the scheduler is started and stopped by the caller."""
    routes = [*_routes(engine), *cache_routes(engine), *_other_paths()]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.add_middleware(PageGuard, bound_host=bound_host)
    return app


def _routes(engine: Engine) -> list[Route]:
    started = int(time.time())

    async def chat_completions(request: Request) -> Response:
        return await _complete(engine, request)

    async def tokenize(request: Request) -> Response:
        return await _tokenize(engine, request)

    def entry() -> dict[str, Any]:
        loaded = engine.scheduler.loaded
        name = loaded.name if loaded is not None else engine.model
        return {"id": name, "object": "model", "created": started, "owned_by": _owner(name)}

    async def models(_: Request) -> Response:
        return _json({"object": "list", "data": [entry()]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name == entry()["id"]:
            return _json(entry())
        message = f"the model {name!r} is not here: this engine runs {entry()['id']!r}"
        return _json(error_body(message, "invalid_request_error", param="model", code="model_not_found"), 404)

    async def health(_: Request) -> Response:
        status, report = health_report(engine.scheduler, engine.model, engine.accelerated)
        return _json(report, status)

    async def stats(_: Request) -> Response:
        return _json(engine.scheduler.stats())

    return [
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/tokenize", tokenize, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{name:path}", model),
        Route("/health", health),
        Route("/stats", stats),
    ]


def _other_paths() -> Iterator[Route]:
    """Say what is missing and what to do, rather than that a path is unknown."""
    for path, why in OTHER_PATHS.items():

        async def refuse(request: Request, why: str = why) -> Response:
            raise HTTPException(404, f"not supported by this engine: {why}")

        for each in (path, path + "/{rest:path}"):
            yield Route(each, refuse, methods=["GET", "POST", "DELETE"])


async def _complete(engine: Engine, request: Request) -> Response:
    body = parse_body(await request.body())
    refuse_other_fields(body)
    chat = parse_chat(body)
    loaded = engine.require_model()
    chat.check_tokens(loaded.vocab_size)
    lane = _lane(request)
    prompt, plan, times = await engine.prepare(loaded, chat, lane)
    room = loaded.context_length - len(prompt.tokens)
    if not prompt.tokens:
        raise InvalidChatRequest("the prompt is empty", param="messages")
    if room < 1:
        message = context_length_message(len(prompt.tokens), loaded.context_length)
        raise InvalidChatRequest(message, param="messages", code=CONTEXT_LENGTH_EXCEEDED)
    resumes = request.headers.get(RESUME_HEADER) == "1"
    head = CompletionHead(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), loaded.name)
    limit = min(chat.output_limit or room, room)
    generation = engine.scheduler.submit(
        GenerationRequest(
            request_id=request.headers.get("x-request-id") or head.id,
            prompt=prompt.tokens,
            max_tokens=limit,
            sampling=chat.sampling(loaded.sampling),
            boundaries=prompt.boundaries,
            has_shared_prefix=prompt.has_shared_prefix,
            shared_boundaries=prompt.shared_boundaries,
            name_at=prompt.parts.name_at,
            own_from=prompt.parts.own_from,
            lane=lane,
            session=unquote(request.headers.get(SESSION_HEADER, ""))[:MOST_SESSION_CHARACTERS],
            grammar=plan.grammar,
            thinking_cap=plan.thinking_cap.within(limit) if plan.thinking_cap is not None else None,
            resume_key=request_key(body) if resumes else "",
            resume_tokens=_known_tokens(body, loaded.vocab_size) if resumes else (),
        ),
        asyncio.get_running_loop(),
    )
    detokenizer = answer_detokenizer(loaded.tokenizer, continues=bool(chat.continue_final_message))
    reader = AnswerText(detokenizer, plan.style)
    guard = LoopGuard(engine.loop_tokens) if engine.loop_tokens else None
    answer = RunningAnswer(generation, reader, len(prompt.tokens), guard)
    form: type[ChatResponse] = ChatStream if chat.stream else WholeChat
    return form(
        answer,
        head,
        engine.running,
        plan=plan,
        reports=(PartTokens(*prompt.parts.counted(len(prompt.tokens))), times),
        notes=[
            *([loaded.template_fault] if loaded.template_fault else []),
            *left_out(body),
            *prompt.notes,
            *plan.notes,
        ],
        feed=request.headers.get(FEED_HEADER) == "1",
        with_usage=chat.wants_usage,
        resumes=resumes,
        thinks=plan.style.think_start != "",
        remember=_memory_for(engine, prompt)
        if lane != "auxiliary"
        else None,  # nothing follows side requests
    )


def _memory_for(engine: Engine, prompt: RenderedPrompt) -> Remember:
    return lambda message, tokens: engine.remember(prompt, message, tokens)


async def _tokenize(engine: Engine, request: Request) -> Response:
    body = parse_body(await request.body())
    loaded = engine.require_model()
    if "text" in body:
        if not isinstance(body["text"], str):
            raise InvalidChatRequest("text must be a string", param="text")
        tokens = await engine.encode(loaded, body["text"])
    else:
        tokens = (await engine.render(loaded, parse_chat(body))).tokens
    found: dict[str, Any] = {"count": len(tokens)}
    if not body.get("count_only"):
        found["tokens"] = tokens
    if body.get("with_text"):
        found["text"] = await engine.decode(loaded, tokens)
    return _json(found)


def _owner(model: str) -> str:
    """The field of a model's entry that is free for words."""
    return f"anyclaude-tui; {bundled_model.CHOOSE}" if model == bundled_model.NAME else "anyclaude-tui"


def _lane(request: Request) -> Lane:
    lane = request.headers.get(LANE_HEADER)
    return cast(Lane, lane) if lane in get_args(Lane) else "main"


def _known_tokens(body: dict[str, Any], vocab_size: int) -> tuple[int, ...]:
    """What an engine that ended had generated for this request; nothing if it is of another vocabulary."""
    tokens = body.get("resume_tokens")
    known = isinstance(tokens, list) and all(type(one) is int and 0 <= one < vocab_size for one in tokens)
    return tuple(tokens) if known and isinstance(tokens, list) else ()


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, "application/json")


async def _on_invalid(request: Request, error: Exception) -> Response:
    param, code = getattr(error, "param", None), getattr(error, "code", None)
    return _json(error_body(str(error), "invalid_request_error", param=param, code=code), 400)


async def _on_refused_prompt(request: Request, error: Exception) -> Response:
    body = error_body(str(error), "invalid_request_error", param="messages", code="template_refused")
    return _json(body, 400)


async def _on_not_ready(request: Request, error: Exception) -> Response:
    return _json(error_body(str(error), "server_error", code="model_not_ready"), 503, {"retry-after": "1"})


async def _on_client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}: {error.detail}"
    headers = dict(error.headers) if error.headers else None
    return _json(error_body(what, "invalid_request_error"), error.status_code, headers)


async def _on_any(request: Request, error: Exception) -> Response:
    return _json(error_body(f"internal error: {type(error).__name__}: {error}", "server_error"), 500)


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    InvalidChatRequest: _on_invalid,
    PromptRefused: _on_refused_prompt,
    NotReady: _on_not_ready,
    ClientDisconnect: _on_client_gone,
    HTTPException: _on_http_error,
    Exception: _on_any,
}
