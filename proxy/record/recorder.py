"""What is known of each request while it runs: events for whoever watches, and one trace at the end."""

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
from proxy.record.request_record import RequestRecord
from proxy.traces.record import ToolOutcome, TraceStore
from proxy.traces.schema import Trace, TraceRequest

_MOST_CALLS = 2_000  # their results come within a turn or two; older ones are found by the index
_PREVIEW_LENGTH = 200

__all__ = ["Recorder", "RequestRecord"]


@dataclass(slots=True)
class _Call:
    """A tool call that a request of this host has made."""

    record: RequestRecord
    entry: ToolCall
    resolved: bool = False


class Recorder:
    """Begins the record of each request, and leads the results of tool calls back to their calls.

    Args:
        traces: where to put traces; None: tracing is off, and events are all there is.
        clock: epoch seconds.
        monotonic: seconds that never jump, for durations.
    """

    def __init__(
        self,
        bus: EventBus,
        traces: TraceStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: f"req_{os.urandom(12).hex()}",
    ) -> None:
        self.bus = bus
        self.traces = traces
        self.clock = clock
        self.monotonic = monotonic
        self.cache_totals = CacheChanged()  # as the newest event of the prefix cache had them
        self._new_id = new_id
        self._calls: OrderedDict[str, _Call | None] = OrderedDict()  # None: of another host, result seen
        self._writing: set[asyncio.Task[None]] = set()

    def begin(
        self, *, received: RequestReceived, query: str, headers: Mapping[str, str], body: Any
    ) -> RequestRecord:
        """Record that a request arrived, and the tool results that it brings.

        The body must not be changed afterwards.
        """
        trace = Trace(
            id=self._new_id(),
            time=self.clock(),
            session=received.session,
            agent=received.agent,
            agent_type=received.agent_type,
            prompt_id=received.prompt_id,
            lane=received.lane,
            backend=received.backend,
            model=received.model,
            request=TraceRequest(
                method=received.method, path=received.path, query=query, headers=dict(headers)
            ),
        )
        trace.request.body = body
        self.bus.publish("request.received", received, trace.id)
        self._record_results(tool_results(body, headers), trace.id, received.session)
        return RequestRecord(self, trace)

    async def close(self) -> None:
        """Return when all that was recorded is on disk."""
        while self._writing:
            await asyncio.gather(*self._writing)
        if self.traces is not None:
            await self.traces.close()

    def expect_result(self, record: RequestRecord, entry: ToolCall) -> None:
        """Expect the result of a call that a request has made."""
        self._calls[entry.id] = _Call(record, entry)
        self._drop_oldest_calls()

    def track_write(self, writing: asyncio.Task[None]) -> None:
        """See to it that a request's end is recorded, even when nobody waits for it any more."""
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def report_late_write(self, request_id: str) -> None:
        """Tell that a client was let go before its trace was on disk."""
        text = f"the disk is slow: the trace of {request_id} is not written yet; its answer was not held back"
        self.bus.publish("host.notice", HostNotice(level="warning", text=text))

    def _record_results(self, results: list[ToolResult], carrier: str, session: str) -> None:
        outcomes = []
        for result in results:
            call = self._calls.get(result.tool_use_id)
            if call.resolved if call else result.tool_use_id in self._calls:
                continue  # a result comes again when a request is repeated
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
            preview=result.text[:_PREVIEW_LENGTH],
            session=session,
        )
        self.bus.publish("request.tool_result", event, carrier)

    def _drop_oldest_calls(self) -> None:
        while len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)
