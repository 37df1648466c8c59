"""Records each request: events while it runs, one trace at its end."""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.anthropic.tool_results import ToolResult, shortened, tool_results
from proxy.events.bus import EventBus
from proxy.events.tool_call import ToolCall
from proxy.events.types import CacheChanged, HostNotice, RequestReceived, RequestToolResult
from proxy.record.repeats import Repeats
from proxy.record.request_record import PREVIEW_LENGTH, RequestRecord
from proxy.traces.schema import Trace, TraceRequest
from proxy.traces.writing import ToolOutcome, TraceStore

_MOST_CALLS = 2_000  # results come within two turns; the index finds older calls

__all__ = ["Recorder", "RequestRecord"]


@dataclass(slots=True)
class _Call:
    """A tool call in a request of this host."""

    record: RequestRecord
    entry: ToolCall
    resolved: bool = False


class Recorder:
    """Starts the record of each request, and links tool results to their calls.

    Args:
        traces: the store of traces; None: tracing is off, and only events are published.
        ended: called with the trace of each request that has ended.
        clock: epoch seconds.
        monotonic: monotonic seconds, for durations.
    """

    def __init__(
        self,
        bus: EventBus,
        traces: TraceStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: f"req_{os.urandom(12).hex()}",
        ended: Callable[[Trace], None] = lambda _: None,
    ) -> None:
        self.bus = bus
        self.traces = traces
        self.clock = clock
        self.monotonic = monotonic
        self._on_ended = ended
        self._repeats = Repeats()
        self.cache_totals = CacheChanged()  # of the newest event of the prefix cache
        self._new_id = new_id
        self._calls: OrderedDict[str, _Call | None] = (
            OrderedDict()
        )  # None: a call of another host whose result was seen
        self._running: dict[str, RequestRecord] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def begin(
        self, *, received: RequestReceived, query: str, headers: Mapping[str, str], body: Any
    ) -> RequestRecord:
        """Record the arrival of a request and its tool results.

        The body must not be changed later.
        """
        received = received.model_copy(update={"retry_of": self._repeats.of(received, body)})
        trace = Trace(
            id=self._new_id(),
            time=self.clock(),
            session=received.session,
            agent=received.agent,
            agent_type=received.agent_type,
            prompt_id=received.prompt_id,
            lane=received.lane,
            retry_of=received.retry_of,
            backend=received.backend,
            model=received.model,
            request=TraceRequest(
                method=received.method, path=received.path, query=query, headers=dict(headers)
            ),
        )
        trace.request.body = body
        self.bus.publish("request.received", received, trace.id)
        self._record_results(tool_results(body, headers), trace.id, received.session)
        record = self._running[trace.id] = RequestRecord(self, trace)
        if self._repeats.is_cancelled(received, body, trace.time):
            record.note("not sent: the client repeats, without a stream, a request that a person cancelled")
            record.cancel_asked.set()
        return record

    def cancel(self, beginning: str) -> list[str]:
        """Ask for the end of the one running request whose id begins so, with or without `req_`.

        Returns the ids that do; where there are none or several, nothing is cancelled.
        """
        fit = [key for key in self._running if key.startswith((beginning, f"req_{beginning}"))]
        if len(fit) == 1:
            self._running[fit[0]].cancel_asked.set()
        return fit

    @property
    def running(self) -> list[str]:
        """The ids of the requests that run, oldest first."""
        return list(self._running)

    async def close(self) -> None:
        """Wait until all traces are on disk."""
        while self._writing:
            await asyncio.gather(*self._writing)
        if self.traces is not None:
            await self.traces.close()

    def ended(self, trace: Trace) -> None:
        """Take note of a request that has ended, while its body is there."""
        self._running.pop(trace.id, None)
        self._repeats.ended(trace)
        self._on_ended(trace)

    def expect_result(self, record: RequestRecord, entry: ToolCall) -> None:
        """Register a call whose result a later request brings."""
        self._calls[entry.id] = _Call(record, entry)
        self._drop_oldest_calls()

    def track_write(self, writing: asyncio.Task[None]) -> None:
        """Keep the task that writes a trace until it has ended."""
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def report_late_write(self, request_id: str) -> None:
        """Publish a notice: a client got its answer before its trace was on disk."""
        text = f"the disk is slow: the trace of {request_id} is not written yet; its answer was not delayed"
        self.bus.publish("host.notice", HostNotice(level="warning", text=text))

    def _record_results(self, results: list[ToolResult], carrier: str, session: str) -> None:
        outcomes = []
        for result in results:
            call = self._calls.get(result.tool_use_id)
            if call.resolved if call else result.tool_use_id in self._calls:
                continue  # a repeated request brings the same result again
            outcome = ToolOutcome(
                result.tool_use_id, shortened(result.text, carrier), result.is_error, result.duration_s
            )
            if call is None:
                self._calls[result.tool_use_id] = None
                self._drop_oldest_calls()
                outcomes.append(outcome)
            else:
                call.resolved = True
                if linked := call.record.record_result(call.entry, outcome):
                    outcomes.append(linked)
            self._publish_result(result, call, carrier, session)
        if outcomes and self.traces is not None:
            self.traces.link(outcomes)

    def _publish_result(self, result: ToolResult, call: _Call | None, carrier: str, session: str) -> None:
        event = RequestToolResult(
            tool_use_id=result.tool_use_id,
            name=result.name or (call.entry.name if call else ""),
            call_request=call.record.id if call else "",
            is_error=result.is_error,
            duration_s=result.duration_s,
            result_bytes=len(result.text.encode(errors="replace")),
            preview=result.text[:PREVIEW_LENGTH],
            session=session,
        )
        self.bus.publish("request.tool_result", event, carrier)

    def _drop_oldest_calls(self) -> None:
        while len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)
