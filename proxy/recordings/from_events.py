"""Traces without texts, made of what the feed told: of requests whose traces were not recorded as a whole.

Their figures, calls and verdicts are those of the trace; a result is as much of it as the feed has.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from proxy.events.tool_call import ToolCall
from proxy.events.types import (
    EngineState,
    ErrorInfo,
    Event,
    HostState,
    RequestFailed,
    RequestFinished,
    RequestFirstToken,
    RequestReceived,
    RequestToolCall,
    RequestToolResult,
    Timings,
)
from proxy.record.past_events import CLIENT_CLOSED_REQUEST
from proxy.recordings.format import Moment, PastOfHost
from proxy.traces.schema import OWN_AGENT, Trace, TraceRequest, TraceResponse, TraceSummary

# Most of a feed, and nothing of them is in a trace without texts: they are not even parsed.
_PASSED = tuple(f'"type":"request.{kind}"'.encode() for kind in ("delta", "prefill", "queued"))


@dataclass(slots=True)
class ToldRequest:
    """What the feed told of one request."""

    received: RequestReceived | None = None
    first: RequestFirstToken | None = None
    end: RequestFinished | RequestFailed | None = None
    model: str = ""  # of the engine when it ended
    calls: list[RequestToolCall] = field(default_factory=list)


@dataclass(slots=True)
class ToldRequests:
    """What the feed told of all requests, and the results of calls by their ids."""

    requests: dict[str, ToldRequest] = field(default_factory=dict)
    results: dict[str, RequestToolResult] = field(default_factory=dict)
    _model: str = ""

    @classmethod
    def of(cls, moments: Sequence[Moment], rows: Container[str]) -> ToldRequests:
        """What these moments tell of the requests with these ids; what cannot be read is passed over."""
        told = cls()
        for event in _events(moments, rows):
            try:
                told._note(event)
            except ValueError:  # of another version
                continue
        return told

    def _note(self, event: Event) -> None:
        payload = event.payload()
        if isinstance(payload, RequestToolResult):
            self.results[payload.tool_use_id] = payload
            return
        if isinstance(payload, EngineState):
            self._model = payload.model
            return
        one = self.requests.setdefault(event.request or "", ToldRequest())
        match payload:
            case RequestReceived():
                one.received = payload
            case RequestFirstToken():
                one.first = payload
            case RequestToolCall():
                one.calls.append(payload)
            case RequestFinished() | RequestFailed():
                one.end, one.model = payload, self._model

    def trace(self, row: TraceSummary) -> Trace:
        """The trace of a row without its texts; of one that the feed told nothing of, what the row says."""
        one = self.requests.get(row.id) or ToldRequest()
        end = one.end
        cache = end.cache if isinstance(end, RequestFinished) else None
        timings = Timings(received=row.time, first_token=row.ttft_s, done=row.duration_s)
        agent = {"user-agent": f"{OWN_AGENT}{row.own_command}"} if row.own_command else {}
        return Trace(
            id=row.id,
            time=row.time,
            session=row.session,
            agent=row.agent,
            agent_type=row.agent_type,
            prompt_id=one.received.prompt_id if one.received else "",
            lane=row.lane,
            retry_of=row.retry_of,
            backend=row.backend,
            model=row.model,
            upstream_model=one.model,
            request=TraceRequest(headers=agent),
            response=_response(row, end),
            timings=end.timings if end is not None and end.timings.done is not None else timings,
            usage=row.usage,
            cache=cache or (one.first.cache if one.first else None),
            tool_calls=[self._call(call) for call in one.calls],
        )

    def _call(self, call: RequestToolCall) -> ToolCall:
        told = call.model_dump(include=set(ToolCall.model_fields))
        made = ToolCall(id=call.tool_use_id, **told)
        if (result := self.results.get(call.tool_use_id)) is not None:
            made.result, made.is_error, made.duration_s = result.preview, result.is_error, result.duration_s
        return made


def _response(row: TraceSummary, end: RequestFinished | RequestFailed | None) -> TraceResponse:
    error = end.error if isinstance(end, RequestFailed) else None
    if error is None and (row.error or row.status >= 400):
        error = ErrorInfo(type="api_error", message=row.error, cause=row.cause)
    cancelled = isinstance(end, RequestFailed) and end.cancelled
    return TraceResponse(
        status=row.status, error=error, cancelled=cancelled or row.status == CLIENT_CLOSED_REQUEST
    )


def _events(moments: Sequence[Moment], rows: Container[str]) -> Iterator[Event]:
    for moment in moments:
        match moment.what:
            case HostState() as state:
                engine = state.engine.model_dump()
                yield Event(seq=0, time=moment.at, type="engine.state", data=engine)
            case PastOfHost(events):
                yield from events
            case bytes() as line if _may_tell(line):
                try:
                    told = orjson.loads(line)["event"]
                    call = told["data"].get("call_request")  # of a result, which another request brought
                    if told["type"] == "engine.state" or told["request"] in rows or call in rows:
                        yield Event.model_validate(told)
                except (ValueError, TypeError, KeyError, AttributeError):  # a damaged line
                    continue


def _may_tell(line: bytes) -> bool:
    return (b'"request.' in line or b'"engine.state"' in line) and not any(kind in line for kind in _PASSED)
