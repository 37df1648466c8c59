"""The record of one running request: each step becomes an event and a part of its trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from engine.wire.feed import CacheChange, PhaseTimes, PrefillProgress
from proxy.anthropic.side_requests import title_of
from proxy.anthropic.tool_results import shortened
from proxy.events.bus import EventBus
from proxy.events.tool_call import ToolCall
from proxy.events.types import (
    CacheChanged,
    CacheEvicted,
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
    RequestToolResult,
    Timings,
    Usage,
)
from proxy.record.delta_batching import DeltaBatcher
from proxy.record.written_parts import WrittenParts
from proxy.traces.analysis.decode_speed import decode_speed
from proxy.traces.schema import CountedPart, Trace, TraceResponse
from proxy.traces.writing import ToolOutcome, TraceStore

PREVIEW_LENGTH = 200  # characters of a result in its event
LONGEST_WRITE_S = 8.0  # a client that waits longer takes the connection for dead

_QUARANTINED = (
    "files of the prefix cache could not be used and are quarantined; their tokens are computed again"
    " (the engine's log names the files)"
)


class RecordContext(Protocol):
    """The parts of the recorder that all records share (`proxy.record.recorder.Recorder`)."""

    bus: EventBus
    traces: TraceStore | None
    monotonic: Callable[[], float]
    cache_totals: CacheChanged

    def ended(self, trace: Trace) -> None:
        """Take note of a request that has ended, while its body is there."""

    def expect_result(self, record: RequestRecord, entry: ToolCall) -> None:
        """Register a call whose result a later request brings."""

    def track_write(self, writing: asyncio.Task[None]) -> None:
        """Keep the task that writes a trace until it has ended."""

    def report_late_write(self, request_id: str) -> None:
        """Publish a notice: a client got its answer before its trace was on disk."""


class RequestRecord:
    """One running request; the first call of `finished` or `failed` ends it, and later calls have no effect.

    Belongs to the event loop. Bodies and messages are kept by reference and must not be changed.
    """

    def __init__(self, context: RecordContext, trace: Trace) -> None:
        self.id = trace.id
        self._context = context
        self._trace = trace
        self._began = context.monotonic()
        self._moments: dict[str, float] = {}
        self._engine: PhaseTimes | None = None
        self._reached = 0  # prompt tokens that were restored or prefilled
        self._deltas = DeltaBatcher(self._publish, self._elapsed)
        self._written = WrittenParts()
        self._restored = False
        self._ended = False
        self.cancel_asked = asyncio.Event()
        """Set when a person cancels the request, or has cancelled the one that it repeats."""

    @property
    def has_ended(self) -> bool:
        """Whether its answer or error is complete."""
        return self._ended

    def upstream(self, body: dict[str, Any], model: str) -> None:
        """Record the body that was sent upstream."""
        self._trace.upstream = body
        self._trace.upstream_model = model

    def note(self, text: str) -> None:
        """Add a note for people to the trace."""
        self._trace.notes.append(text)

    def queued(self, position: int, waiting_s: float) -> None:
        """The request is queued at the upstream."""
        self._once("queued")
        self._publish("request.queued", RequestQueued(position=position, waiting_s=waiting_s))

    def prefill(self, progress: PrefillProgress) -> None:
        """The upstream has prefilled more of the prompt."""
        self._once("queued")
        self._once("prefill_start")
        self._reached = progress.done
        self._publish("request.prefill", RequestPrefill.model_validate(progress, from_attributes=True))

    def lookup(self, cache: CacheVerdict) -> None:
        """The result of the lookup in the prefix cache."""
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

    def prompt_parts(self, names: Sequence[str], tokens: Sequence[int]) -> None:
        """The parts of the prompt; of an answer in several rounds those of the first are kept."""
        if not self._trace.prompt_parts:
            counted = zip(names, tokens, strict=False)
            self._trace.prompt_parts = [CountedPart(name=name, tokens=number) for name, number in counted]

    def engine_times(self, times: PhaseTimes) -> None:
        """What phases of the engine took; of an answer in several rounds those of the first are kept."""
        self._engine = times if self._engine is None else self._engine.with_later(times)

    def resumed(self, tokens: int) -> None:
        """The answer begins with so many tokens of an earlier one, which tell no speed."""
        self._deltas.resumed += tokens

    def cache_changed(self, change: CacheChange) -> None:
        """The upstream's prefix cache changed because of this request."""
        changed = CacheChanged.model_validate(change, from_attributes=True)
        known, self._context.cache_totals = self._context.cache_totals, changed
        if change.event == "restored":
            # The lookup has reported it, unless the totals differ.
            if self._restored and _totals(known) == _totals(changed):
                return
            self._restored = True
        if change.event == "evicted":
            changed = CacheEvicted.model_validate(change, from_attributes=True)
        self._publish(f"cache.{change.event}", changed)
        if change.event == "set_aside":
            self._publish("host.notice", HostNotice(level="warning", text=_QUARANTINED))

    def first_byte(self) -> None:
        """The first byte is sent to the client."""
        self._once("first_byte")

    def first_token(self, usage: Usage) -> None:
        """The first token of the answer has arrived."""
        if self._once("first_token"):
            ttft = self._moments["first_token"]
            self._deltas.started = ttft
            self._publish(
                "request.first_token",
                RequestFirstToken(ttft_s=ttft, usage=usage, cache=self._trace.cache, engine=self._engine),
            )

    def delta(
        self, kind: Literal["text", "thinking", "tool"], text: str, output_tokens: int, tool: str = ""
    ) -> None:
        """Text of the answer arrived; `output_tokens` is the count so far. Events are batched at 20 Hz.

        `tool`: whose arguments it is a piece of, where its name does not stand in the text.
        """
        if not self._ended:
            now = self._moments["last_token"] = self._elapsed()
            self._written.add(kind, now, output_tokens, first_token=self._moments.get("first_token"))
            self._deltas.add(kind, text, output_tokens, tool)

    def tool_call(self, call: ToolCall) -> None:
        """The answer has a tool call with its verdict; its result is added later."""
        self._deltas.flush()
        self._written.call_ended(call.id)
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
        """Add a result to a trace that is not written yet; else return the outcome with the file's path."""
        if self._ended:
            store = self._context.traces
            return replace(outcome, path=store.path_of(self._trace)) if store is not None else None
        entry.result, entry.is_error, entry.duration_s = outcome.result, outcome.is_error, outcome.duration_s
        return None

    def served(self, entry: ToolCall, text: str, *, is_error: bool, duration_s: float) -> None:
        """The proxy itself has run a call of this answer; `text` is what the model got."""
        self.record_result(entry, ToolOutcome(entry.id, shortened(text, self.id), is_error, duration_s))
        event = RequestToolResult(
            tool_use_id=entry.id,
            name=entry.name,
            call_request=self.id,
            is_error=is_error,
            duration_s=duration_s,
            result_bytes=len(text.encode(errors="replace")),
            preview=text[:PREVIEW_LENGTH],
            session=self._trace.session,
        )
        self._publish("request.tool_result", event)

    async def finished(self, *, status: int, message: dict[str, Any], stop_reason: str, usage: Usage) -> None:
        """End the request with success; its trace is on disk on return, or a notice gives the reason."""
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
                title=title_of(message, trace.lane),
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
        estimated: str = "",
    ) -> None:
        """End the request with an error; `message` is the answer so far.

        `estimated` says how the usage was counted, if not by the upstream.
        """
        if estimated and not self._ended:
            self._trace.usage_estimated = True
            self.note(estimated)
        if not self._end(TraceResponse(status=status, error=error, cancelled=cancelled), message, usage):
            return
        cache = self._trace.cache
        event = RequestFailed(
            status=status,
            error=error,
            usage=usage,
            timings=self._trace.timings,
            cancelled=cancelled,
            reached_tokens=cache.reached_tokens if cache is not None else None,
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
        began = {"first_token", "last_token"} & self._moments.keys()
        if (cache := self._trace.cache) is not None and not began:
            self._trace.cache = _as_far_as(cache, self._reached)
        self._trace.usage = usage
        self._trace.timings = Timings(
            received=self._trace.time,
            **self._moments,
            engine=self._engine,
            resumed_tokens=self._deltas.resumed,
        )
        self._trace.written = self._written.parts
        self._context.ended(self._trace)
        return True

    async def _write(self, type: str, event: RequestFinished | RequestFailed) -> None:
        async def write() -> None:
            store = self._context.traces
            path = await store.write(self._trace) if store is not None else ""
            self._context.bus.publish(type, event.model_copy(update={"trace": path}), self.id)
            # The bodies are on disk; records of calls without a result keep the rest.
            self._trace.request.body = self._trace.upstream = self._trace.response.message = None

        writing = asyncio.get_running_loop().create_task(write())
        self._context.track_write(writing)
        # A client that disconnects now cancels this wait, not the write.
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


def _as_far_as(cache: CacheVerdict, reached: int) -> CacheVerdict:
    """What a lookup has come to where the prompt was read so far and no further."""
    reached = min(max(cache.matched_tokens, reached), cache.prompt_tokens)
    kept = min(cache.kept_tokens, reached - cache.matched_tokens)
    return cache.model_copy(update={"reached_tokens": reached, "kept_tokens": kept})


def _totals(change: CacheChanged) -> tuple[int, int]:
    return change.entries, change.total_bytes
