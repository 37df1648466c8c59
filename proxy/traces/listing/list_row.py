"""What lists of traces are filtered and sorted by: one narrow row a trace, beside its summary."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.events.totals import INVALID_VERDICTS
from proxy.filters.matching import file_of
from proxy.traces.analysis.decode_speed import decode_speed
from proxy.traces.schema import Trace, TraceSummary

LIST_COLUMNS = (
    "id",
    "time",
    "path",
    "words",
    "session",
    "lane",
    "model",
    "upstream",
    "status",
    "failed",
    "cancelled",
    "missed",
    "own",
    "ttft",
    "took",
    "prompt",
    "out",
    "share",
    "speed",
    "calls",
    "tools",
    "files",
    "toolerror",
    "refused",
    "repaired",
    "bytes",
)


def list_row(trace: Trace, row: TraceSummary) -> tuple[object, ...]:
    """A trace in the order of `LIST_COLUMNS`; names in lower case, as filters are.

    `tools` and `files` have each value between line breaks: `\\nread\\nedit\\n`.
    """
    usage, answer, calls = row.usage, trace.response, trace.tool_calls
    prompt = usage.prompt_tokens
    return (
        row.id,
        row.time,
        row.path,
        _words(row),
        row.session.lower(),
        row.lane,
        row.model.lower(),
        trace.upstream_model.lower(),
        row.status,
        answer.error is not None and not answer.cancelled,
        answer.cancelled,
        trace.cache is not None and trace.cache.miss is not None,
        bool(row.own_command),
        row.ttft_s,
        row.duration_s,
        prompt or None,
        usage.output_tokens,
        usage.cache_read_input_tokens / prompt if prompt else None,
        decode_speed(trace.timings, usage.output_tokens) or None,
        len(calls),
        _lines(call.name for call in calls),
        _lines(file_of(call.input) for call in calls),
        any(call.is_error is True for call in calls),
        any(call.verdict in INVALID_VERDICTS for call in calls),
        any(call.repairs and call.verdict not in INVALID_VERDICTS for call in calls),
        row.bytes,
    )


def _lines(values: Iterable[str]) -> str:
    told = dict.fromkeys(value.lower().replace("\n", " ") for value in values if value)
    return "\n".join(["", *told, ""]) if told else ""


def _words(row: TraceSummary) -> str:
    parts = [row.id, row.session, row.agent, row.lane, row.backend, row.model, row.preview, row.error]
    return " ".join([*parts, row.stop_reason, str(row.status)]).lower()
