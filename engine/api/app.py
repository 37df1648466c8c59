"""The engine's HTTP side: OpenAI's API in front of the model's loop."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, get_args
from urllib.parse import unquote

import orjson
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from engine import bundled_model
from engine.answers.reader import AnswerText
from engine.answers.repetition import LoopGuard
from engine.api.answer_plan import AnswerPlan, AnswerPlanner
from engine.api.cache_routes import cache_routes
from engine.api.continued_answer import begun_answer, continued
from engine.api.health import health_report
from engine.api.json_body import InvalidChatRequest, parse_body
from engine.api.other_fields import OTHER_PATHS, left_out, refuse_other_fields
from engine.api.requests import ChatRequest, ToolChoice, parse_chat
from engine.api.responses import ChatResponse, ChatStream, Remember, RunningAnswers, WholeChat
from engine.api.running_answer import RunningAnswer
from engine.models.detokenizer import answer_detokenizer
from engine.models.loading import LoadedModel
from engine.prefix_cache.control import CacheControl
from engine.process.loopback import PageGuard
from engine.prompts.answer_memory import AnswerMemory
from engine.prompts.model_forms import model_forms
from engine.prompts.probing.known_traits import KnownTraits
from engine.prompts.rendering import PromptRefused, PromptRenderer, RenderedPrompt
from engine.scheduling.requests.steps import GenerationRequest, Lane
from engine.scheduling.scheduler import Scheduler
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
from engine.wire.feed import FEED_HEADER, PartTokens, PhaseTimes

MOST_SESSION_CHARACTERS = 120  # of a session's name
_SAVED_WITHIN_S = 0.2  # that the end of an answer waits for its copy on disk, at most

T = TypeVar("T")


class NotReady(Exception):
    """The model is not there yet, or will not come; answered with status 503."""


@dataclass
class Engine:
    """The model's loop and what the web side keeps beside it."""

    scheduler: Scheduler
    model: str = ""  # as it was asked for, until it is loaded
    accelerated: str = ""
    tool_format: str = ""  # how it writes tool calls; empty: as its chat template shows
    thinking_format: str = ""  # the marks around its thinking; empty: as its chat template shows
    grammar: bool = True  # constrain tool calls and JSON answers by a grammar
    loop_tokens: int = 2000  # that an answer repeats itself for before it is ended; 0: it may for ever
    answers: AnswerMemory = field(default_factory=AnswerMemory)  # what history is rendered from
    traits: KnownTraits = field(default_factory=KnownTraits)  # of chat templates that were probed
    running: RunningAnswers = field(default_factory=RunningAnswers)
    cache: CacheControl | None = None  # what a person may ask of the prefix cache
    clock: Callable[[], float] = time.perf_counter
    # One thread: tokenizers raise when two use them at the same time.
    _rendering: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="rendering")
    )
    _renderer: PromptRenderer | None = None
    _planner: AnswerPlanner | None = None

    def require_model(self) -> LoadedModel:
        """The model.

        Raises:
            NotReady: it is not loaded.
        """
        loaded = self.scheduler.loaded
        if loaded is not None:
            return loaded
        health = self.scheduler.health()
        if health.state == "failed":
            raise NotReady(f"the model could not be loaded: {health.detail}")
        raise NotReady(f"the model is still loading ({health.progress:.0%}); try again in a moment")

    async def prepare(
        self, loaded: LoadedModel, chat: ChatRequest, lane: Lane = "main"
    ) -> tuple[RenderedPrompt, AnswerPlan, PhaseTimes]:
        """The prompt of a request, the plan for its answer, and what they took; made off the event loop.

        Raises:
            PromptRefused: the template does not take it.
        """
        asked = self.clock()
        return await self._off_loop(lambda: self._prepare(loaded, chat, lane, asked))

    async def render(self, loaded: LoadedModel, chat: ChatRequest) -> RenderedPrompt:
        """The prompt of a request, rendered off the event loop.

        Raises:
            PromptRefused: the template does not take it.
        """
        return await self._off_loop(lambda: self._render(loaded, chat))

    async def encode(self, loaded: LoadedModel, text: str) -> list[int]:
        """Token ids of plain text."""
        return await self._off_loop(lambda: self._renderer_of(loaded).encode(text))

    async def decode(self, loaded: LoadedModel, tokens: list[int]) -> str:
        """The text of token ids, control tokens as their names."""
        return await self._off_loop(lambda: str(loaded.tokenizer.decode(tokens)))

    async def remember(self, prompt: RenderedPrompt, message: dict[str, Any], tokens: list[int]) -> None:
        """Keep an answer for the prompts that will have it in their history, also after a kill of the engine.

        No prompt has it before its client knows its end. So if that end is reported after this returns, all
        cached history can be rendered as it was generated, also after a kill. A slow disk delays an answer
        only for a moment.
        """
        saved = self._renderer.remember(prompt, message, tokens) if self._renderer is not None else None
        if saved is not None:
            await asyncio.wait([asyncio.wrap_future(saved)], timeout=_SAVED_WITHIN_S)

    def warm_up(self) -> None:
        """Learn the chat template's traits and the tokens' bytes now, not with the first request."""
        loaded = self.require_model()
        self._rendering.submit(self._renderer_of, loaded)
        self._rendering.submit(self._planner_of, loaded)

    def close(self) -> None:
        """Let the rendering thread go."""
        self._rendering.shutdown(wait=False, cancel_futures=True)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._rendering, work)

    def _render(self, loaded: LoadedModel, chat: ChatRequest) -> RenderedPrompt:
        renderer = self._renderer_of(loaded)
        kwargs = renderer.thinking_kwargs(chat.reasoning_effort) | (chat.chat_template_kwargs or {})
        # Tools that may not be called are shown all the same where a grammar can forbid calls: the prompt
        # then begins as that of the session's other requests.
        shown = chat.choice.kind != "none" or self._planner_of(loaded).can_forbid_calls
        begun = begun_answer(chat, loaded.tokenizer)
        messages = chat.messages[:-1] if chat.continue_final_message else chat.messages
        prompt = renderer.render(messages, chat.shown_tools if shown else [], **kwargs)
        return continued(prompt, begun, renderer.forms.thinking, renderer.encode) if begun else prompt

    def _prepare(
        self, loaded: LoadedModel, chat: ChatRequest, lane: Lane, asked: float
    ) -> tuple[RenderedPrompt, AnswerPlan, PhaseTimes]:
        began, tokenized = self.clock(), self._renderer.tokenizing_s if self._renderer is not None else 0.0
        if lane == "compaction" and chat.choice.kind == "auto" and self._planner_of(loaded).can_forbid_calls:
            chat.choice = ToolChoice("none")  # the client takes a call in place of the summary for a failure
        prompt = self._render(loaded, chat)
        rendered, tokenize_s = self.clock(), self._renderer_of(loaded).tokenizing_s - tokenized
        plan = self._planner_of(loaded).plan(chat, opens_thinking=prompt.opens_thinking)
        return (
            prompt,
            plan,
            PhaseTimes(
                render_wait_s=began - asked,
                template_s=rendered - began - tokenize_s,
                tokenize_s=tokenize_s,
                grammar_s=self.clock() - rendered,
            ),
        )

    def _planner_of(self, loaded: LoadedModel) -> AnswerPlanner:
        if self._planner is None:
            self._planner = AnswerPlanner(
                loaded.tokenizer,
                loaded.eos_token_ids,
                forms=self._renderer_of(loaded).forms,
                grammar=self.grammar,
            )
        return self._planner

    def _renderer_of(self, loaded: LoadedModel) -> PromptRenderer:
        if self._renderer is None:
            self._renderer = PromptRenderer(
                loaded.tokenizer,
                self.answers,
                forms=model_forms(loaded.tokenizer, self.tool_format or "", self.thinking_format),
                known=self.traits,
            )
        return self._renderer


def create_app(engine: Engine, *, bound_host: str = "127.0.0.1") -> FastAPI:
    """The application; the scheduler is started and stopped by the caller."""
    app = FastAPI(title="anyclaude engine", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(PageGuard, bound_host=bound_host)
    app.state.engine = engine
    started = int(time.time())

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        return await _complete(engine, request)

    @app.post("/v1/tokenize")
    async def tokenize(request: Request) -> Response:
        return await _tokenize(engine, request)

    def entry() -> dict[str, Any]:
        loaded = engine.scheduler.loaded
        name = loaded.name if loaded is not None else engine.model
        return {"id": name, "object": "model", "created": started, "owned_by": _owner(name)}

    @app.get("/v1/models")
    async def models() -> Response:
        return _json({"object": "list", "data": [entry()]})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        if name == entry()["id"]:
            return _json(entry())
        message = f"the model {name!r} is not here: this engine runs {entry()['id']!r}"
        return _json(error_body(message, "invalid_request_error", param="model", code="model_not_found"), 404)

    @app.get("/health")
    async def health() -> Response:
        status, report = health_report(engine.scheduler, engine.model, engine.accelerated)
        return _json(report, status)

    @app.get("/stats")
    async def stats() -> Response:
        return _json(engine.scheduler.stats())

    app.include_router(cache_routes(engine))
    _refuse_other_paths(app)
    for error, handler in _HANDLERS.items():
        app.add_exception_handler(error, handler)
    return app


def _refuse_other_paths(app: FastAPI) -> None:
    """Say what is missing and what to do, rather than that a path is unknown."""
    for path, why in OTHER_PATHS.items():

        async def refuse(request: Request, why: str = why) -> Response:
            raise HTTPException(404, f"not supported by this engine: {why}")

        for each in (path, path + "/{rest:path}"):
            app.router.routes.append(Route(each, refuse, methods=["GET", "POST", "DELETE"]))


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
