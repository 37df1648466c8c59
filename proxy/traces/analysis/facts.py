"""What the index keeps of a trace for sums over many: figures, calls, the miss, the new text."""

from __future__ import annotations

from dataclasses import dataclass

from engine.wire.json_text import encode_json
from proxy.events.arguments import one_line, telling_argument
from proxy.events.tool_call import ToolCall
from proxy.events.totals import usage_as_read
from proxy.filters.matching import file_of
from proxy.traces.analysis.decode_speed import decode_speed, prefill_time
from proxy.traces.analysis.new_text import new_text
from proxy.traces.schema import Trace

REQUEST_COLUMNS = (
    "id",
    "time",
    "backend",
    "model",
    "upstream",
    "session",
    "lane",
    "failed",
    "cancelled",
    "input",
    "created",
    "read",
    "output",
    "ttft",
    "speed",
    "duration",
    "prefill",
    "restore",
    "own",
)
CALL_COLUMNS = (
    "trace",
    "number",
    "id",
    "path",
    "name",
    "verdict",
    "repairs",
    "error",
    "duration",
    "about",
    "file",
    "result",
    "result_bytes",
    "held",  # by what: "grammar", "relaxed" or nothing
)
MISS_COLUMNS = (
    "trace",
    "reason",
    "cause",  # of what was evicted
    "position",
    "segment",
    "before",
    "now",
    "tokens",
)

Row = tuple[object, ...]
_LINE = 200  # characters


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """Rows of the index, in the order of the columns above; `miss` is None where nothing was missed."""

    request: Row
    calls: tuple[Row, ...]
    miss: Row | None
    text: str

    @classmethod
    def of(cls, trace: Trace, path: str) -> TraceFacts:
        return cls(request_row(trace), tuple(_calls(trace, path)), _miss(trace), new_text(trace))


def prefill_seconds(trace: Trace) -> float | None:
    """From the start of prefill, or from when the request was queued, to the first token."""
    return prefill_time(trace.timings)


def request_row(trace: Trace) -> Row:
    """A request in the order of `REQUEST_COLUMNS`."""
    times, answer = trace.timings, trace.response
    usage = usage_as_read(trace.usage, trace.cache.reached_tokens if trace.cache else None)
    return (
        trace.id,
        trace.time,
        trace.backend,
        trace.model,
        trace.upstream_model,
        trace.session,
        trace.lane,
        answer.error is not None and not answer.cancelled,
        answer.cancelled,
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
        times.first_token,
        decode_speed(times, usage.output_tokens) or None,
        times.done,
        prefill_seconds(trace),
        trace.cache.restore_s if trace.cache else 0.0,
        trace.own_command,
    )


def _calls(trace: Trace, path: str) -> list[Row]:
    return [
        (
            trace.id,
            number,
            call.id,
            path,
            call.name,
            call.verdict,
            len(call.repairs),
            call.is_error,
            call.duration_s,
            _about(call),
            file_of(call.input),
            one_line(call.result or "", _LINE),
            len((call.result or "").encode(errors="replace")),
            "relaxed" if call.relaxed else "grammar" if call.constrained else "",
        )
        for number, call in enumerate(trace.tool_calls, 1)
    ]


def _about(call: ToolCall) -> str:
    """Its arguments on one line: the one that says most, else all of them, else what the model wrote."""
    if call.input is None:
        return one_line(call.raw, _LINE)
    name = telling_argument(call.input)
    told = call.input if name is None else call.input[name]
    return one_line(told if isinstance(told, str) else encode_json(told).decode(), _LINE)


def _miss(trace: Trace) -> Row | None:
    cache = trace.cache
    if cache is None or (miss := cache.miss) is None:
        return None
    computed = max(0, cache.prompt_tokens - cache.matched_tokens)
    return (
        trace.id,
        miss.reason,
        miss.evicted_cause,
        miss.position,
        miss.segment,
        miss.before,
        miss.now,
        computed,
    )
