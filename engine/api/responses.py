"""Chat completions on the wire: a stream of server-sent events, or one JSON object.

Both watch their connection while they wait, so that a client that leaves ends its generation, and both are
ended when the server is about to stop.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.answers.pieces import (
    AnswerStyle,
    Call,
    CallOpened,
    CallPart,
    Composing,
    Remark,
    Text,
    Thinking,
    TruncatedCall,
)
from engine.api.answer_plan import AnswerPlan
from engine.api.running_answer import RunningAnswer, Shown
from engine.scheduling.requests.steps import FailStep, ReportStep
from engine.wire.chat import CompletionHead, error_body, tool_call, usage
from engine.wire.feed import (
    FeedPayload,
    Generated,
    Note,
    PrefillProgress,
    Progress,
    Queued,
    StreamError,
    ToolCallOpen,
    ToolCallRaw,
    feed_chunk,
)

STATUS = {"invalid_request": 400, "overloaded": 503, "internal": 500}
_TYPES = {
    "invalid_request": "invalid_request_error",
    "overloaded": "server_error",
    "internal": "server_error",
}
_TEXT = attrgetter("text")
_PLAIN = AnswerPlan(AnswerStyle())
Remember = Callable[[dict[str, Any], list[int]], Awaitable[None]]
"""Gets the message that a client got and the tokens that it was made of."""

_ALIVE = b": waiting\n\n"  # a comment: every byte shows a client that it is not forgotten


def failure_body(failure: FailStep) -> dict[str, Any]:
    """A failed generation in OpenAI's error form."""
    code = "overloaded" if failure.kind == "overloaded" else None
    return error_body(failure.message, _TYPES[failure.kind], code=code)


class RunningAnswers:
    """The answers that are on their way now."""

    def __init__(self) -> None:
        self._answers: set[RunningAnswer] = set()

    def abort_all(self, message: str) -> None:
        """Fail them all with this message."""
        for answer in list(self._answers):
            answer.abort(message)

    @asynccontextmanager
    async def watching(self, answer: RunningAnswer, receive: Receive) -> AsyncIterator[None]:
        """Hold `answer` as running, and let it go when its client does."""
        self._answers.add(answer)
        watcher = asyncio.create_task(_leave_with_client(answer, receive))
        try:
            yield
        finally:
            watcher.cancel()
            answer.close()
            self._answers.discard(answer)


class ChatResponse(Response):
    """What streamed and whole answers share."""

    def __init__(
        self,
        answer: RunningAnswer,
        head: CompletionHead,
        running: RunningAnswers,
        *,
        plan: AnswerPlan = _PLAIN,
        reports: Sequence[FeedPayload] = (),
        notes: Sequence[str] = (),
        feed: bool = False,
        resumes: bool = False,
        with_usage: bool = False,
        thinks: bool = False,
        remember: Remember | None = None,
    ) -> None:
        """`reports` open the feed. `remember` has done its work before the client gets the end of the answer.

        With `feed` and `resumes` the generated tokens are reported, by which another engine can go on.
        """
        super().__init__()
        self._answer = answer
        self._head = head
        self._running = running
        self._plan = plan
        self._reports = reports
        self._notes = notes
        self._feed = feed
        self._reports_tokens = feed and resumes
        self._reported = 0  # tokens
        self._with_usage = with_usage
        self._thinks = thinks
        self._remember = remember
        self._said: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._open: dict[str, Any] = {}  # the call that is being sent in parts

    async def _keep(self) -> None:
        """Hand on what was generated, unless the client has another end of it: of a stop string or a loop."""
        answer = self._answer
        ended_early = answer.stop_sequence is not None or answer.looped
        whole = answer.finish_reason is not None and answer.failure is None and not ended_early
        if self._remember is not None and whole:
            message: dict[str, Any] = {"role": "assistant", "content": "".join(self._said)}
            calls = {"tool_calls": self._calls} if self._calls else {}
            await self._remember(message | calls, answer.tokens)

    def _counts(self) -> dict[str, Any]:
        answer = self._answer
        reasoning = answer.reasoning_tokens if self._thinks else None
        return usage(
            answer.prompt_tokens, answer.output_tokens, cached=answer.cached_tokens, reasoning=reasoning
        )

    async def _refuse(self, failure: FailStep, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"retry-after": "1"} if failure.kind == "overloaded" else None
        response = Response(
            orjson.dumps(failure_body(failure)), STATUS[failure.kind], headers, "application/json"
        )
        await response(scope, receive, send)


class WholeChat(ChatResponse):
    """A `chat.completion` object once the answer is complete."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer
        shown: list[Shown] = []
        async with self._running.watching(answer, receive):
            while not answer.over:
                shown += await answer.more()
        if answer.left:
            return
        if answer.failure is not None:
            await self._refuse(answer.failure, scope, receive, send)
            return
        assert answer.finish_reason is not None
        message = _message(shown)
        self._said, self._calls = [message["content"] or ""], message.get("tool_calls", [])
        await self._keep()
        body = self._head.completion(message, answer.finish_reason, self._counts())
        await Response(orjson.dumps(body), media_type="application/json")(scope, receive, send)


class ChatStream(ChatResponse):
    """Server-sent events, one write for all that arrived in one turn of the loop."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer
        begun = ended = False
        async with self._running.watching(answer, receive):
            while not ended:
                batch = await answer.more()
                ended = answer.over  # later it may be ended from outside, with another batch to say so
                if answer.left:
                    return
                if begun:
                    lines = []
                elif answer.failure is not None:
                    await self._refuse(answer.failure, scope, receive, send)
                    return
                else:
                    begun, lines = True, list(self._begin())
                    await send(_START)
                lines += self._lines(batch)
                lines += self._new_tokens()
                if ended:
                    await self._keep()
                    lines += self._end()
                if lines:
                    body = b"".join(lines)
                    await send({"type": "http.response.body", "body": body, "more_body": not ended})

    def _begin(self) -> Iterator[bytes]:
        yield _data(self._head.delta({"role": "assistant", "content": ""}))
        if self._feed:
            for report in (*self._reports, *map(Note, self._notes)):
                yield _data(feed_chunk(report))

    def _lines(self, batch: Sequence[Shown]) -> Iterator[bytes]:
        for kind, group in itertools.groupby(batch, key=type):
            if kind is Text:
                self._said.append(_text(group))
                yield self._delta(content=self._said[-1])
            elif kind is Thinking:
                yield self._delta(reasoning_content=_text(group))
            elif kind is Composing:
                if self._feed:
                    yield _data(feed_chunk(Progress(self._answer.output_tokens, _text(group))))
            else:
                for shown in group:
                    yield from self._line(shown)

    def _new_tokens(self) -> Iterator[bytes]:
        tokens = self._answer.tokens[self._reported :] if self._reports_tokens else []
        if tokens:
            self._reported += len(tokens)
            yield _data(feed_chunk(Generated(tuple(tokens))))

    def _line(self, shown: Shown) -> Iterator[bytes]:
        if isinstance(shown, CallOpened | CallPart | Call | TruncatedCall):
            yield from self._call_line(shown)
        elif not self._feed:
            if isinstance(shown, Queued | PrefillProgress):
                yield _ALIVE
        elif isinstance(shown, Remark):
            yield _data(feed_chunk(Note(shown.text)))
        elif isinstance(shown, ReportStep):
            yield _data(feed_chunk(shown))

    def _call_line(self, shown: CallOpened | CallPart | Call | TruncatedCall) -> Iterator[bytes]:
        """A call in parts, or whole; what the feed reports of it comes first, or at its end."""
        match shown:
            case CallOpened(name):
                self._open = tool_call(_call_id(), name, "")
                if self._feed:
                    yield _data(feed_chunk(ToolCallOpen(len(self._calls), self._family)))
                yield self._delta(tool_calls=[{"index": len(self._calls), **self._open}])
            case CallPart(arguments):
                function = {"arguments": arguments}
                yield self._delta(tool_calls=[{"index": len(self._calls), "function": function}])
            case TruncatedCall():
                if self._feed:
                    yield self._raw_call(shown)
            case Call():
                if self._feed:
                    yield self._raw_call(shown)
                if shown.opened:
                    self._calls.append(tool_call(self._open["id"], shown.name, shown.arguments))
                else:
                    self._calls.append(_tool_call(shown))
                    yield self._delta(tool_calls=[{"index": len(self._calls) - 1, **self._calls[-1]}])

    def _raw_call(self, shown: Call | TruncatedCall) -> bytes:
        """What the model wrote for the newest call, and what became of it."""
        call = shown if isinstance(shown, Call) else None
        unconstrained = self._answer.unconstrained
        raw = ToolCallRaw(
            index=len(self._calls),
            raw=shown.raw,
            tokens=shown.tokens,
            family=self._family,
            constrained=not unconstrained and (call is None or call.name in self._plan.style.constrained),
            relaxed=unconstrained or (self._plan.relaxed.get(call.name, "") if call is not None else ""),
            repairs=call.repairs if call is not None else (),
        )
        return _data(feed_chunk(raw))

    @property
    def _family(self) -> str:
        family = self._plan.style.family
        return family.name if family is not None else ""

    def _delta(self, **delta: Any) -> bytes:
        """A chunk that adds to the message; with the feed, it has the count of tokens so far."""
        chunk = self._head.delta(delta)
        if self._feed:
            chunk["usage"] = {"completion_tokens": self._answer.output_tokens}
        return _data(chunk)

    def _end(self) -> Iterator[bytes]:
        answer = self._answer
        if answer.failure is not None:
            if self._feed:
                yield _data(feed_chunk(StreamError(answer.failure.kind, answer.failure.message)))
            yield _data(failure_body(answer.failure))
            return
        if answer.finish_reason is not None:
            stop = {"stop_sequence": answer.stop_sequence} if self._feed and answer.stop_sequence else {}
            yield _data(self._head.finish(answer.finish_reason, **stop))
            if self._with_usage:
                yield _data(self._head.usage(self._counts()))
            yield b"data: [DONE]\n\n"


_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ],
}


async def _leave_with_client(answer: RunningAnswer, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.leave()


def _data(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _text(pieces: Iterable[Any]) -> str:
    return "".join(map(_TEXT, pieces))


def _tool_call(shown: Call) -> dict[str, Any]:
    return tool_call(_call_id(), shown.name, shown.arguments)


def _call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def _message(shown: Sequence[Shown]) -> dict[str, Any]:
    calls = [_tool_call(piece) for piece in shown if isinstance(piece, Call)]
    text = "".join(_said(shown))
    thinking = _text(piece for piece in shown if isinstance(piece, Thinking))
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if thinking:
        message["reasoning_content"] = thinking
    if calls:
        message["tool_calls"] = calls
    return message


def _said(shown: Iterable[Shown]) -> Iterator[str]:
    """The text of a whole answer; a call that its limit truncated is part of it."""
    for piece in shown:
        if isinstance(piece, Text):
            yield piece.text
        elif isinstance(piece, TruncatedCall):
            yield piece.before + piece.raw
