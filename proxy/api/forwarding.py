"""Pass-through of the Anthropic API: bytes go on untouched while a tap reads them for the record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from starlette.types import Receive, Scope, Send

from proxy.anthropic.lanes import identify
from proxy.anthropic.messages import MAX_BODY_BYTES
from proxy.api.client_side import (
    ClientLeft,
    EventStream,
    headers_of,
    read_body,
    run_while_connected,
    send_error,
)
from proxy.api.messages import CLIENT_CLOSED_REQUEST, STOPPED, received
from proxy.backends.claude import ClaudeBackend, incoming
from proxy.events.errors import ProxyError, RequestCancelled, UpstreamError, UpstreamUnavailable
from proxy.events.tool_call import ToolCall
from proxy.events.types import CacheVerdict, ErrorInfo
from proxy.translate.message_tap import Decoder, MessageTap
from proxy.translate.tools import ToolSet, Verdict, tool_set

if TYPE_CHECKING:
    from proxy.record.recorder import Recorder, RequestRecord

log = logging.getLogger(__name__)

_PIECES = (
    "usage is an estimate, as the endpoint counts the output at the end of an answer, which did not come:"
    " output tokens are the pieces that it sent, each of one token or more"
)


class ForwardEndpoint:
    """The ASGI application behind all of `/v1` when the backend is an Anthropic endpoint.

    `POST /v1/messages` is recorded; the rest only passes.
    """

    def __init__(
        self,
        backend: ClaudeBackend,
        recorder: Recorder,
        backend_name: str,
        gate: Callable[[], UpstreamError | None],
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._backend = backend
        self._gate = gate
        self._recorder = recorder
        self._name = backend_name
        self._limit = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            raw = await read_body(scope, receive, self._limit)
        except ClientLeft:
            return
        recorded = scope["method"] == "POST" and scope["path"] == "/v1/messages"
        record = self._begin(scope, raw) if recorded else None
        forwarded = ForwardedRequest(
            self._backend, record, send, _tools_in(raw) if recorded else tool_set([])
        )
        if recorded and (fault := self._gate()):
            await forwarded.refuse(fault)
            return
        try:
            await run_while_connected(receive, forwarded.run(scope, raw), record)
        except RequestCancelled as error:
            await forwarded.depart(error.message, error.cause)
            await forwarded.refuse(error)
        except ClientLeft:
            await forwarded.depart("the client closed the connection before the answer was complete")
        except asyncio.CancelledError:
            await forwarded.refuse(UpstreamUnavailable(STOPPED, cause="host stopped"))
            raise

    def _begin(self, scope: Scope, raw: bytes) -> RequestRecord:
        headers, body = headers_of(scope), _object(raw)
        return self._recorder.begin(
            received=received(scope, identify(headers, body), body, len(raw), self._name),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            body=body or raw.decode("utf-8", "replace"),
        )


class ForwardedRequest:
    """One request on its way through; `record` is None for what is not recorded."""

    def __init__(
        self, backend: ClaudeBackend, record: RequestRecord | None, send: Send, tools: ToolSet
    ) -> None:
        self._backend = backend
        self._record = record
        self._send = send
        self._tools = tools
        self._tap = MessageTap()
        self._decoder = Decoder("")
        self._started = False
        self._token_seen = False
        self._pieces = 0

    async def run(self, scope: Scope, raw: bytes) -> None:
        """Forward the request and its answer."""
        query = scope.get("query_string", b"")
        target = scope.get("raw_path") or scope["path"].encode()
        target += b"?" + query if query else b""
        if self._record is not None:
            self._record.upstream(_object(raw), _object(raw).get("model") or "")
        try:
            async with self._backend.forward(scope["method"], target, scope["headers"], raw) as response:
                self._decoder = Decoder(response.headers.get("content-encoding", "").strip().lower())
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    await self._pass_stream(response)
                else:
                    await self._pass_whole(response)
        except ProxyError as error:
            await self.refuse(error)
        except Exception as error:
            log.exception("a request failed on its way through")
            await self.refuse(
                ProxyError(f"the proxy failed on this request: {type(error).__name__}: {error}")
            )

    async def refuse(self, error: ProxyError) -> None:
        """Give the client an error of ours: as a status while it has no byte yet, else as an event."""
        await self._record_failure(error.status, error.info)
        request_id = self._record.id if self._record is not None else "req_forwarded"
        if not self._started:
            await send_error(self._send, error, request_id)
            return
        stream = EventStream(self._send, request_id, lambda: None)
        stream.started = True
        await stream.fail(error.info)

    async def depart(self, message: str, cause: str = "") -> None:
        """Record that the client has left, or that a person cancelled the request."""
        info = ErrorInfo(type="cancelled", message=message, cause=cause)
        await self._record_failure(CLIENT_CLOSED_REQUEST, info, cancelled=True)

    async def _pass_stream(self, response: httpx.Response) -> None:
        await self._start(response)
        last = b""
        plain = response.headers.get("content-encoding", "identity").strip().lower() == "identity"
        async for chunk in response.aiter_raw():
            self._tap.feed(self._decoder.feed(chunk))
            self._observe()
            last += chunk
            if self._tap.complete or self._tap.error is not None:
                continue  # the client sees the end only once it is on record
            # Half an event waits for its rest: where that does not come, an error of ours takes its place.
            whole = _end_of_events(last) if plain else len(last)
            if whole:
                await self._send({"type": "http.response.body", "body": last[:whole], "more_body": True})
                last = last[whole:]
        if self._decoder.readable and not self._tap.complete and self._tap.error is None:
            raise UpstreamUnavailable(
                "the upstream broke off in the middle of its answer; please retry", cause="connection lost"
            )
        await self._record_end(response.status_code)
        await self._send({"type": "http.response.body", "body": last})

    async def _pass_whole(self, response: httpx.Response) -> None:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
        self._tap.feed_whole(self._decoder.feed(raw))
        self._observe()
        await self._record_end(response.status_code)
        await self._start(response)
        await self._send({"type": "http.response.body", "body": raw})

    async def _start(self, response: httpx.Response) -> None:
        self._started = True
        headers = incoming(response)
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        if self._record is not None:
            self._record.first_byte()

    def _observe(self) -> None:
        """Put on record what the tap has read."""
        record, tap = self._record, self._tap
        if record is None:
            return
        if tap.produced and not self._token_seen:
            self._token_seen = True
            usage = tap.usage
            record.lookup(
                CacheVerdict(
                    prompt_tokens=usage.prompt_tokens,
                    matched_tokens=usage.cache_read_input_tokens,
                    kept_tokens=usage.cache_creation_input_tokens,
                )
            )
            record.first_token(usage)
        for kind, text, tool in tap.deltas:
            self._pieces += 1
            record.delta(kind, text, self._pieces, tool)  # type: ignore[arg-type]
        tap.deltas.clear()
        for block in tap.calls:
            record.tool_call(self._judged(block))
        tap.calls.clear()

    def _judged(self, block: Mapping[str, Any]) -> ToolCall:
        raw = orjson.dumps(block.get("input")).decode()
        name = str(block.get("name", ""))
        verdict = self._tools.judge(name, raw)
        if verdict.verdict == "unknown_tool":  # the endpoint has tools of its own
            verdict = Verdict("unchecked", verdict.input, verdict.detail)
        return ToolCall(
            id=str(block.get("id", "")),
            name=name,
            input=verdict.input,
            raw=raw,
            verdict=verdict.verdict,
            detail=verdict.detail,
        )

    async def _record_end(self, status: int) -> None:
        if self._record is None:
            return
        tap = self._tap
        if not self._decoder.readable:
            self._record.note("the answer was sent in a coding that the record cannot read")
        if status >= 400 or tap.error is not None:
            info = tap.error or ErrorInfo(type="api_error", message=f"status {status}")
            await self._record_failure(status if status >= 400 else 500, info)
            return
        await self._record.finished(
            status=status, message=tap.message() or {}, stop_reason=tap.stop_reason, usage=tap.usage
        )

    async def _record_failure(self, status: int, info: ErrorInfo, *, cancelled: bool = False) -> None:
        if self._record is None:
            return
        usage, estimated = self._tap.usage, ""
        if self._pieces > usage.output_tokens:
            usage = usage.model_copy(update={"output_tokens": self._pieces})
            estimated = _PIECES
        await self._record.failed(
            status=status,
            error=info,
            message=self._tap.message(),
            usage=usage,
            cancelled=cancelled,
            estimated=estimated,
        )


def _end_of_events(data: bytes) -> int:
    """The length of the events of a stream that are whole; each ends with an empty line.

    Comments between events are signs of life, and need no empty line.
    """
    ends = ((b"\n\n", 2), (b"\r\n\r\n", 4), (b"\r\r", 2))
    end = max(data.rfind(mark) + length if mark in data else 0 for mark, length in ends)
    while data.startswith(b":", end) and (line_break := data.find(b"\n", end)) >= 0:
        end = line_break + 1
    return end


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _tools_in(raw: bytes) -> ToolSet:
    tools = _object(raw).get("tools")
    rows = tools if isinstance(tools, list) else []
    return tool_set([row for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)])
