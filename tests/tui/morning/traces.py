"""The traces of the made-up morning: of each request that ended, what its host would have written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.wire.feed import PhaseTimes
from proxy.events.causes import cause_of
from proxy.events.tool_call import ToolCall
from proxy.events.types import CacheVerdict, ErrorInfo, Event, Timings, Usage
from proxy.traces.files import trace_path
from proxy.traces.schema import Trace, TraceRequest, TraceResponse, TraceSummary, WrittenPart
from proxy.traces.summary import summarize
from tests.tui.morning.conversations import HEADERS, Conversation
from tests.tui.traffic import MODEL


@dataclass(slots=True)
class _Told:
    """All events of one request, by what they tell."""

    received: Event
    first: Event | None = None
    end: Event | None = None
    miss: dict[str, Any] | None = None
    deltas: list[Event] = field(default_factory=list)
    calls: list[Event] = field(default_factory=list)


def whole_traces(events: Sequence[Event]) -> list[Trace]:
    """A trace of each request that ended, in the order in which they came."""
    told: dict[str, _Told] = {}
    results: dict[str, Event] = {}
    for event in events:
        key = event.request or ""
        if event.type == "request.received":
            told[key] = _Told(event)
        elif event.type == "request.tool_result":
            results[event.data["tool_use_id"]] = event
        elif key in told:
            _note(told[key], event)
    conversations: dict[str, Conversation] = {}
    return [
        _trace(key, one, _conversation(conversations, one), results)
        for key, one in told.items()
        if one.end is not None
    ]


def row_of(trace: Trace) -> TraceSummary:
    """Its row in the list."""
    size = len(trace.model_dump_json())
    return summarize(trace, trace_path(trace.backend, trace.time, trace.id), size)


def _note(told: _Told, event: Event) -> None:
    match event.type:
        case "request.first_token":
            told.first = event
        case "request.delta":
            told.deltas.append(event)
        case "request.tool_call":
            told.calls.append(event)
        case "request.finished" | "request.failed":
            told.end = event
        case "cache.missed":
            told.miss = event.data["miss"]


def _conversation(known: dict[str, Conversation], told: _Told) -> Conversation:
    """The one that a request goes on with: that of its session, unless a side request or an agent asks."""
    data = told.received.data
    lane, session = data["lane"], data["session"]
    if lane in ("auxiliary", "subagent"):
        if lane == "auxiliary":
            known.pop(session, None)  # the next thing, in a new conversation
        return Conversation(lane)
    found = known.setdefault(session, Conversation(lane))
    if told.miss and told.miss["reason"] == "diverged":
        found.branch, found.changed = "json-export", 5  # the client looked at the repository again
    if data["retry_of"]:
        found.messages.pop()  # it is sent again
    return found


def _trace(key: str, told: _Told, conversation: Conversation, results: dict[str, Event]) -> Trace:
    assert told.end is not None
    data, end = told.received.data, told.end.data
    conversation.ask(data["preview"])
    timings = Timings.model_validate(end["timings"])
    verdict = end.get("cache") or (told.first.data["cache"] if told.first else None)
    usage = Usage.model_validate(end["usage"])
    calls = [_call(event, results) for event in told.calls]
    content = _content(told.deltas, calls)
    trace = Trace(
        id=key,
        time=told.received.time,
        session=data["session"],
        agent=data.get("agent", ""),
        agent_type=data.get("agent_type", ""),
        prompt_id=f"prompt-{len(conversation.messages):04d}",
        lane=data["lane"],
        retry_of=data["retry_of"],
        backend=data["backend"],
        model=data["model"],
        upstream_model=MODEL,
        request=TraceRequest(
            query="beta=true", headers=HEADERS, body=conversation.body(data["model"], data["max_tokens"])
        ),
        upstream=conversation.upstream(),
        response=_response(key, data["model"], end, content),
        timings=_with_engine(timings, verdict),
        written=_written(told, calls, timings),
        usage=usage,
        cache=CacheVerdict.model_validate(verdict) if verdict else None,
        prompt_parts=conversation.parts(usage.prompt_tokens),
        tool_calls=calls,
        notes=["the billing block was dropped"],
    )
    if "error" not in end:
        conversation.answered(content, [_result(call) for call in calls if call.result is not None])
    elif end.get("cancelled"):
        conversation.messages.pop()  # the client left, and asks something else
    return trace


def _response(key: str, model: str, end: dict[str, Any], content: list[dict[str, Any]]) -> TraceResponse:
    error = ErrorInfo.model_validate(end["error"]) if "error" in end else None
    if error is not None:
        error = error.model_copy(update={"cause": cause_of(error.type, error.message)})
    message = {
        "id": f"msg_{key[4:]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_reason": end.get("stop_reason") or None,
        "content": content,
    }
    return TraceResponse(
        status=end["status"], message=message, error=error, cancelled=end.get("cancelled", False)
    )


def _content(deltas: Sequence[Event], calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The blocks of an answer: what was thought, the text, the calls."""
    content: list[dict[str, Any]] = []
    for kind in ("thinking", "text"):
        text = "".join(event.data["text"] for event in deltas if event.data["kind"] == kind)
        if text:
            content.append({"type": kind, kind: text})
    for call in calls:
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.input or {}})
    return content


def _call(event: Event, results: dict[str, Event]) -> ToolCall:
    data = event.data
    names = ("name", "raw", "family", "constrained", "relaxed", "input", "repairs", "verdict", "detail")
    told = {name: data[name] for name in names if name in data}
    call = ToolCall(id=data["tool_use_id"], tokens=list(range(data["raw_tokens"])), **told)
    if (result := results.get(call.id)) is not None:
        call.result = _long_result(call.name, result.data["preview"])
        call.is_error, call.duration_s = result.data["is_error"], result.data["duration_s"]
    return call


def _long_result(name: str, text: str) -> str:
    """A result as long as such a tool's are, which begins as the feed says."""
    more: Iterable[str] = ()
    if name == "Read":
        more = (f"{number}\tparser.add_argument('--column-{number}')" for number in range(3, 140))
    elif name == "Grep":
        more = (f"src/export/rows.py:{10 * number}:    rows_of(table)" for number in range(2, 40))
    elif "passed" in text:
        more = (f"tests/test_export.py::test_{number} PASSED" for number in range(1, 13))
    return "\n".join([text, *more])


def _result(call: ToolCall) -> dict[str, Any]:
    failed = {"is_error": True} if call.is_error else {}
    return {"type": "tool_result", "tool_use_id": call.id, "content": call.result, **failed}


def _with_engine(timings: Timings, verdict: dict[str, Any] | None) -> Timings:
    """The timings with those of the engine, which took all that is not prefill in no time."""
    first = timings.first_token or 0.5
    restored = verdict["matched_tokens"] if verdict else 0
    restore = 0.036 if restored else 0.0
    before = 0.012 + 0.021 + 0.001 + 0.03 + 0.004 + restore
    engine = PhaseTimes(
        template_s=0.012,
        tokenize_s=0.021,
        grammar_s=0.001,
        waiting_s=0.03,
        lookup_s=0.004,
        restore_s=restore,
        prefill_s=round(max(0.0, first - before - 0.037), 3),
        first_token_s=0.021,
    )
    return timings.model_copy(update={"engine": engine})


def _written(told: _Told, calls: Sequence[ToolCall], timings: Timings) -> list[WrittenPart]:
    """When each part of the answer was written: what was thought first, then the text, then the calls."""
    if told.first is None or timings.first_token is None:
        return []
    begin, last = timings.first_token, timings.last_token or timings.first_token
    tokens = max((event.data.get("output_tokens", 0) for event in told.deltas), default=0)
    kinds: list[tuple[Any, float, str]] = []
    if any(event.data["kind"] == "thinking" for event in told.deltas):
        kinds.append(("thinking", 0.2, ""))
    kinds += [("text", 0.5, ""), *(("tool", 0.3 / len(calls), call.id) for call in calls)]
    whole = sum(share for _, share, _ in kinds)
    parts, at = [], begin
    for kind, share, call in kinds:
        until = at + (last - begin) * share / whole
        parts.append(
            WrittenPart(kind=kind, start=at, end=until, tokens=round(tokens * share / whole), call=call)
        )
        at = until
    return parts
