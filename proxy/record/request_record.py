"""The record of one request while it runs: each step becomes an event and a line of its trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Protocol

from engine.wire.feed import CacheChange, PrefillProgress
from proxy.events.bus import EventBus
from proxy.events.tool_call import ToolCall
from proxy.events.types import (
    CacheChanged,
    CacheMissed,
    CacheVerdict,
    ErrorInfo,
    EventData,
    HostNotice,
    RequestFailed,
    RequestFinished,
    RequestFirstToken,
    RequestPrefill,
    RequestQueued,
    RequestToolCall,
    Timings,
    Usage,
)
from proxy.record.delta_batching import DeltaBatcher
from proxy.traces.analysis.decode_speed import decode_speed
from proxy.traces.record import ToolOutcome, TraceStore
from proxy.traces.schema import Trace, TraceResponse

LONGEST_WRITE_S = 8.0  # a client that waits for a disk that hangs takes the silence for a dead connection

_QUARANTINED = (
    "files of the prefix cache could not be used and are quarantined; their tokens are computed again"
    " (the engine's log names the files)"
)


class RecordContext(Protocol):
    """What the records of all requests share (`proxy.record.recorder.Recorder`)."""

    bus: EventBus
    traces: TraceStore | None
    monotonic: Callable[[], float]
    cache_totals: CacheChanged

    def expect_result(self, record: RequestRecord, entry: ToolCall) -> None:
        """Expect the result of a call that a request has made."""

    def track_write(self, writing: asyncio.Task[None]) -> None:
        """See to it that a request's end is recorded, even when nobody waits for it any more."""

    def report_late_write(self, request_id: str) -> None:
        """Report that a client was let go before its trace was on disk."""


class RequestRecord:
    """One request that runs; ended by the first of `finished` and `failed`, and deaf afterwards.

    Belongs to the event loop. Bodies and messages are kept by reference and must not be changed.
    """

    def __init__(self, context: RecordContext, trace: Trace) -> None:
        self.id = trace.id
        self._context = context
        self._trace = trace
        self._began = context.monotonic()
        self._moments: dict[str, float] = {}
        self._deltas = DeltaBatcher(self._publish, self._elapsed)
        self._restored = False
        self._ended = False

    def upstream(self, body: dict[str, Any], model: str) -> None:
        """Keep what was sent upstream."""
        self._trace.upstream = body
        self._trace.upstream_model = model

    def note(self, text: str) -> None:
        """Add a remark for people to the trace."""
        self._trace.notes.append(text)

    def queued(self, position: int, waiting_s: float) -> None:
        """The upstream has the request and works on others first."""
        self._once("queued")
        self._publish("request.queued", RequestQueued(position=position, waiting_s=waiting_s))

    def prefill(self, progress: PrefillProgress) -> None:
        """The upstream has processed some more of the prompt."""
        self._once("queued")
        self._once("prefill_start")
        self._publish("request.prefill", RequestPrefill.model_validate(progress, from_attributes=True))

    def lookup(self, cache: CacheVerdict) -> None:
        """The prompt was looked up in the prefix cache."""
        self._once("queued")
        self._trace.cache = cache
        totals = self._context.cache_totals.model_dump()
        if cache.matched_tokens and not self._restored:
            self._restored = True
            self._publish(
                "cache.restored", CacheChanged(**totals | {"tokens": cache.matched_tokens, "bytes": 0})
            )
        if cache.miss is not None:
            computed = cache.prompt_tokens - cache.matched_tokens
            self._publish(
                "cache.missed", CacheMissed(**totals | {"tokens": computed, "bytes": 0}, miss=cache.miss)
            )

    def cache_changed(self, change: CacheChange) -> None:
        """The upstream's prefix cache changed for this request."""
        changed = CacheChanged.model_validate(change, from_attributes=True)
        known, self._context.cache_totals = self._context.cache_totals, changed
        if change.event == "restored":
            # The lookup has told of it already, unless the totals are news.
            if self._restored and _totals(known) == _totals(changed):
                return
            self._restored = True
        self._publish(f"cache.{change.event}", changed)
        if change.event == "set_aside":
            self._publish("host.notice", HostNotice(level="warning", text=_QUARANTINED))

    def first_byte(self) -> None:
        """The first byte goes to the client."""
        self._once("first_byte")

    def first_token(self, usage: Usage) -> None:
        """The first token of the answer is there."""
        if self._once("first_token"):
            ttft = self._moments["first_token"]
            self._deltas.started = ttft
            self._publish(
                "request.first_token", RequestFirstToken(ttft_s=ttft, usage=usage, cache=self._trace.cache)
            )

    def delta(self, kind: Literal["text", "thinking", "tool"], text: str, output_tokens: int) -> None:
        """Text of the answer arrived; `output_tokens` is the count so far. Cheap: events follow at 20 Hz."""
        if not self._ended:
            self._moments["last_token"] = self._elapsed()
            self._deltas.add(kind, text, output_tokens)

    def tool_call(self, call: ToolCall) -> None:
        """The answer holds a tool call, judged; the record keeps it and adds its result."""
        self._deltas.flush()
        self._trace.tool_calls.append(call)
        self._context.expect_result(self, call)
        self._publish(
            "request.tool_call",
            RequestToolCall(
                tool_use_id=call.id,
                name=call.name,
                input=call.input,
                raw=call.raw,
                raw_tokens=len(call.tokens),
                family=call.family,
                constrained=call.constrained,
                relaxed=call.relaxed,
                repairs=call.repairs,
                verdict=call.verdict,
                detail=call.detail,
                session=self._trace.session,
            ),
        )

    def record_result(self, entry: ToolCall, outcome: ToolOutcome) -> ToolOutcome | None:
        """Add a call's result to a trace that is not written yet; else return what the file is to get."""
        if self._ended:
            store = self._context.traces
            return replace(outcome, path=store.path_of(self._trace)) if store is not None else None
        entry.result, entry.is_error, entry.duration_s = outcome.result, outcome.is_error, outcome.duration_s
        return None

    async def finished(self, *, status: int, message: dict[str, Any], stop_reason: str, usage: Usage) -> None:
        """End the request well; its trace is on disk when this returns, or a notice says why not."""
        if not self._end(TraceResponse(status=status), message, usage):
            return
        trace = self._trace
        await self._write(
            "request.finished",
            RequestFinished(
                status=status,
                stop_reason=stop_reason,
                usage=usage,
                timings=trace.timings,
                cache=trace.cache,
                tokens_per_s=decode_speed(trace.timings, usage.output_tokens),
            ),
        )

    async def failed(
        self,
        *,
        status: int,
        error: ErrorInfo,
        message: dict[str, Any] | None,
        usage: Usage,
        cancelled: bool = False,
    ) -> None:
        """End the request with an error; `message` is the answer as far as it had come."""
        if not self._end(TraceResponse(status=status, error=error, cancelled=cancelled), message, usage):
            return
        event = RequestFailed(
            status=status, error=error, usage=usage, timings=self._trace.timings, cancelled=cancelled
        )
        await self._write("request.failed", event)

    def _end(self, response: TraceResponse, message: dict[str, Any] | None, usage: Usage) -> bool:
        if self._ended:
            return False
        self._deltas.flush()
        self._once("done")
        self._ended = True
        response.message = message
        self._trace.response = response
        self._trace.usage = usage
        self._trace.timings = Timings(received=self._trace.time, **self._moments)
        return True

    async def _write(self, type: str, event: RequestFinished | RequestFailed) -> None:
        async def write() -> None:
            store = self._context.traces
            path = await store.write(self._trace) if store is not None else ""
            self._context.bus.publish(type, event.model_copy(update={"trace": path}), self.id)
            # The bodies are on disk; whoever still expects a tool's result holds only the rest.
            self._trace.request.body = self._trace.upstream = self._trace.response.message = None

        writing = asyncio.get_running_loop().create_task(write())
        self._context.track_write(writing)
        # A client that leaves now cancels who waits here, not the writing.
        await asyncio.wait((writing,), timeout=LONGEST_WRITE_S)
        if not writing.done():
            self._context.report_late_write(self.id)

    def _once(self, moment: str) -> bool:
        if moment in self._moments:
            return False
        self._moments[moment] = self._elapsed()
        return True

    def _elapsed(self) -> float:
        return round(self._context.monotonic() - self._began, 6)

    def _publish(self, type: str, data: EventData) -> None:
        if not self._ended:
            self._context.bus.publish(type, data, self.id)


def _totals(change: CacheChanged) -> tuple[int, int]:
    return change.entries, change.total_bytes
