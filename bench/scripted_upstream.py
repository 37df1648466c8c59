"""An OpenAI-compatible upstream that answers from a script, to lead a real client through its tools.

It is stateless: the step is the number of assistant turns in the request, so that retries and parallel
sessions get the right answer. Every request body is kept for the test to inspect.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from bench.child import poll

Body = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One tool call of an answer; with `written` its arguments are this exact text, valid or not."""

    name: str
    arguments: dict[str, Any]
    written: str | None = None

    @property
    def text(self) -> str:
        """The arguments as they are sent."""
        return json.dumps(self.arguments) if self.written is None else self.written


@dataclass(frozen=True)
class Turn:
    """One answer: thinking, text, then calls; with `one_index` all of them have the index 0.

    `status` refuses the request instead. With `breaks` the stream ends before its finish reason, and with
    `fails` an error event ends it. It is silent for `wait_s` at first and for `gap_s` between two chunks.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    ends: str = ""  # the finish reason, if not the answer's own
    one_index: bool = False
    thinking: str = ""
    status: int = 0
    message: str = "played by the script"  # of a refusal or an error event
    breaks: bool = False
    fails: bool = False
    wait_s: float = 0.0
    gap_s: float = 0.0

    @property
    def finish_reason(self) -> str:
        return self.ends or ("tool_calls" if self.calls else "stop")


Script = Callable[[Body], Turn]


def step_of(body: Body) -> int:
    """The number of answers in the conversation."""
    return sum(message["role"] == "assistant" for message in body["messages"])


def text_of(body: Body) -> str:
    """The text of all user messages."""
    texts: list[str] = []
    for message in body["messages"]:
        content = message.get("content") if message["role"] == "user" else None
        if isinstance(content, str):
            texts.append(content)
        elif content:
            texts.extend(part.get("text", "") for part in content)
    return "\n".join(texts)


def in_order(turns: Sequence[Turn]) -> Script:
    """A script that returns one turn after the other and then repeats the last."""
    return lambda body: turns[min(step_of(body), len(turns) - 1)]


@dataclass
class ScriptedUpstream:
    """The ASGI application `app`, and the requests that it got."""

    script: Script
    model: str = "scripted"
    bodies: list[Body] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = count()
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._completions, methods=["POST"]),
                Route("/v1/models", self._models),
            ]
        )

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def _completions(self, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw)
        self.bodies.append(body)
        turn, number = self.script(body), next(self._ids)
        if turn.status:
            error = {"error": {"message": turn.message, "code": turn.status}}
            return JSONResponse(error, turn.status, headers={"retry-after": "1"})
        usage = _usage(len(raw), turn)
        if not body.get("stream"):
            await asyncio.sleep(turn.wait_s)
            return JSONResponse(_whole(turn, number, self.model, usage))
        return StreamingResponse(
            _sent(turn, _chunks(turn, number, self.model, usage)), media_type="text/event-stream"
        )


async def _sent(turn: Turn, chunks: Iterator[Body]) -> AsyncIterator[str]:
    await asyncio.sleep(turn.wait_s)
    for chunk in chunks:
        if (turn.breaks or turn.fails) and (not chunk["choices"] or chunk["choices"][0]["finish_reason"]):
            if turn.fails:
                yield f"data: {json.dumps({'error': {'message': turn.message, 'code': 500}})}\n\n"
            return
        yield f"data: {json.dumps(chunk)}\n\n"
        if turn.gap_s:
            await asyncio.sleep(turn.gap_s)
    yield "data: [DONE]\n\n"


def _usage(raw_bytes: int, turn: Turn) -> Body:
    words = len(turn.text.split()) + len(turn.thinking.split())
    prompt, output = raw_bytes // 4, 1 + words + 10 * len(turn.calls)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
    }


def _call_id(number: int, index: int) -> str:
    return f"call_{number}_{index}"


def _whole(turn: Turn, number: int, model: str, usage: Body) -> Body:
    calls = [
        {
            "id": _call_id(number, i),
            "type": "function",
            "function": {"name": call.name, "arguments": call.text},
        }
        for i, call in enumerate(turn.calls)
    ]
    message: Body = {"role": "assistant", "content": turn.text or None}
    if turn.thinking:
        message["reasoning_content"] = turn.thinking
    if calls:
        message["tool_calls"] = calls
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": turn.finish_reason}],
        "usage": usage,
    }


def _chunks(turn: Turn, number: int, model: str, usage: Body) -> Iterator[Body]:
    """The chunks of a stream: text word by word, arguments in pieces of twelve characters."""
    base: Body = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 0, "model": model}

    def chunk(delta: Body, finish_reason: str | None = None) -> Body:
        return base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    yield chunk({"role": "assistant", "content": ""})
    for kind, text in (("reasoning_content", turn.thinking), ("content", turn.text)):
        for word in re.findall(r"\s*\S+|\s+", text):
            yield chunk({kind: word})
    for place, call in enumerate(turn.calls):
        i = 0 if turn.one_index else place
        head = {"name": call.name, "arguments": ""}
        yield chunk(
            {
                "tool_calls": [
                    {"index": i, "id": _call_id(number, place), "type": "function", "function": head}
                ]
            }
        )
        arguments = call.text
        for at in range(0, len(arguments), 12):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": arguments[at : at + 12]}}]})
    yield chunk({}, turn.finish_reason)
    yield base | {"choices": [], "usage": usage}


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an ASGI application in a thread of this process; yields its base URL, which ends in `/v1`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        settings = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        poll(lambda: server.started, timeout_s=10, what="the scripted upstream")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(10)
