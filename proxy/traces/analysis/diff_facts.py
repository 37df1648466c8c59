"""Where two prompts part, as the host API has it: sizes of all segments, the lines of those that differ."""

from __future__ import annotations

from difflib import unified_diff

from pydantic import BaseModel

from proxy.traces.analysis.context_pieces import argument, beginning
from proxy.traces.analysis.diff import Kind, SegmentDiff, diff
from proxy.traces.index import TraceIndex
from proxy.traces.schema import Trace

MOST_LINES = 400  # of one segment's difference
_CONTEXT = 2  # equal lines around each change
_MOST_CHARACTERS = 2_000  # of a line: a tool's definition is one


class Side(BaseModel):
    """One of the two requests."""

    id: str
    time: float
    session: str
    lane: str
    model: str
    prompt_tokens: int
    ttft_s: float | None = None
    took_s: float | None = None
    output_tokens: int = 0
    answer: str = ""  # the first words of its text, or the message of its failure
    failed: bool = False
    calls: list[str] = []  # of its answer: the tool, and the file or text that it is about


class SegmentFacts(BaseModel):
    """A part of both prompts; its tokens are counted, else its share by characters (`DiffFacts.counted`)."""

    name: str
    kind: Kind
    a_tokens: int
    b_tokens: int
    lines: list[str] = []  # of a unified diff, without its head; of a segment of one side, its text
    left_out: int = 0  # lines beyond these


class DiffFacts(BaseModel):
    """Two requests; `position`, `recomputed` and `cost_s` are B's, as in `proxy.traces.analysis.diff`."""

    a: Side
    b: Side
    segments: list[SegmentFacts]
    first: int | None
    position: int | None
    estimated: bool
    recomputed: int | None
    cost_s: float | None
    told: str
    counted: bool = False  # the tokens of all segments


def compare(a: Trace, b: Trace) -> DiffFacts:
    """Compare the prompts of two traces, of which A came before."""
    found = diff(a, b)
    rates = [
        trace.usage.prompt_tokens / size if (size := sum(map(len, texts))) else 0.0
        for trace, texts in (
            (a, [part.a for part in found.segments]),
            (b, [part.b for part in found.segments]),
        )
    ]
    return DiffFacts(
        a=_side(a),
        b=_side(b),
        segments=[_segment(part, rates[0], rates[1]) for part in found.segments],
        first=found.first,
        position=found.position,
        estimated=found.estimated,
        recomputed=found.recomputed,
        cost_s=found.cost_s,
        told=found.told,
        counted=all(part.a_tokens is not None or part.b_tokens is not None for part in found.segments)
        and bool(a.prompt_parts and b.prompt_parts),
    )


def request_before(trace: Trace, index: TraceIndex) -> str | None:
    """The id of the request before it in its session and lane, that was counted; None: there is none.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    if not trace.session:
        return None
    rows = index.select(
        "SELECT id FROM traces WHERE session = ? AND lane = ? AND (time, id) < (?, ?) AND prompt IS NOT NULL"
        " ORDER BY time DESC, id DESC LIMIT 1",
        (trace.session.lower(), trace.lane, trace.time, trace.id),
    )
    return rows[0][0] if rows else None


def _side(trace: Trace) -> Side:
    content, error = (trace.response.message or {}).get("content"), trace.response.error
    blocks = content if isinstance(content, list) else []
    those = (block for block in blocks if isinstance(block, dict) and block.get("type") == "text")
    texts = [text for block in those if isinstance(text := block.get("text"), str)]
    return Side(
        id=trace.id,
        time=trace.time,
        session=trace.session,
        lane=trace.lane,
        model=trace.upstream_model or trace.model,
        prompt_tokens=trace.usage.prompt_tokens,
        ttft_s=trace.timings.first_token,
        took_s=trace.timings.done,
        output_tokens=trace.usage.output_tokens,
        answer=beginning(error.message if error is not None else " ".join(texts)),
        failed=error is not None,
        calls=[f"{call.name} {argument(call.input)}".strip() for call in trace.tool_calls],
    )


def _segment(part: SegmentDiff, rate_a: float, rate_b: float) -> SegmentFacts:
    lines = _lines(part)
    return SegmentFacts(
        name=part.name,
        kind=part.kind,
        a_tokens=round(len(part.a) * rate_a) if part.a_tokens is None else part.a_tokens,
        b_tokens=round(len(part.b) * rate_b) if part.b_tokens is None else part.b_tokens,
        lines=[line[:_MOST_CHARACTERS] for line in lines[:MOST_LINES]],
        left_out=max(0, len(lines) - MOST_LINES),
    )


def _lines(part: SegmentDiff) -> list[str]:
    match part.kind:
        case "same":
            return []
        case "only in A":
            return [f"-{line}" for line in part.a.split("\n")]
        case "only in B":
            return [f"+{line}" for line in part.b.split("\n")]
    a, b = part.a.split("\n"), part.b.split("\n")
    return list(unified_diff(a, b, lineterm="", n=_CONTEXT))[2:]
