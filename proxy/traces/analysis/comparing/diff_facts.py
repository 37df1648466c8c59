"""Where two prompts part, as the host API has it: sizes of all segments, the lines of those that differ."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from pydantic import BaseModel

from proxy.traces.analysis.comparing.comparable import Chosen
from proxy.traces.analysis.comparing.diff import Kind, PromptDiff, SegmentDiff, diff
from proxy.traces.analysis.comparing.line_diff import unified_lines
from proxy.traces.analysis.context_pieces import argument, beginning
from proxy.traces.schema import Trace

MOST_CHARACTERS = 4_000_000  # of one segment's difference: a line of a megabyte on both sides, and more
_MOST_IN_ALL = 8_000_000


class Side(BaseModel):
    """One of the two requests."""

    id: str
    time: float
    session: str
    lane: str
    model: str  # that read its prompt; empty: it was refused before that was decided
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
    """Two requests; `position`, `recomputed` and `cost_s` are B's, as in the module `diff`."""

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
    chosen: Chosen | None = None  # how A was chosen; None: it was named


def compare(a: Trace, b: Trace) -> DiffFacts:
    """Compare the prompts of two traces, of which A came before."""
    found = diff(a, b)
    rates = _rates(a, b, found)
    parts: list[SegmentFacts] = []
    room = _MOST_IN_ALL
    for place, part in enumerate(found.segments):
        parts.append(_segment(part, place, found.first, rates, min(room, MOST_CHARACTERS)))
        room -= sum(map(len, parts[-1].lines))
    return DiffFacts(
        a=_side(a),
        b=_side(b),
        segments=parts,
        first=found.first,
        position=found.position,
        estimated=found.estimated,
        recomputed=found.recomputed,
        cost_s=found.cost_s,
        told=found.told,
        counted=all(part.a_tokens is not None or part.b_tokens is not None for part in found.segments)
        and bool(a.prompt_parts and b.prompt_parts),
    )


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
        model=trace.upstream_model or ("" if error is not None and not trace.upstream else trace.model),
        prompt_tokens=trace.usage.prompt_tokens,
        ttft_s=trace.timings.first_token,
        took_s=trace.timings.done,
        output_tokens=trace.usage.output_tokens,
        answer=beginning(error.message if error is not None else " ".join(texts)),
        failed=error is not None,
        calls=[f"{call.name} {argument(call.input)}".strip() for call in trace.tool_calls],
    )


def _rates(a: Trace, b: Trace, found: PromptDiff) -> tuple[float, float]:
    """Tokens a character before the first difference and behind it, the same for both prompts."""
    before = found.position or 0
    sizes = [
        sum(map(len, texts)) for texts in zip(*((part.a, part.b) for part in found.segments), strict=True)
    ]
    behind = sum(sizes) - 2 * found.shared
    tokens = sum(max(0, trace.usage.prompt_tokens - before) for trace in (a, b))
    return (before / found.shared if found.shared else 0.0, tokens / behind if behind else 0.0)


def _segment(
    part: SegmentDiff, place: int, first: int | None, rates: tuple[float, float], most: int
) -> SegmentFacts:
    lines = _lines(part)
    # Whole lines: where both sides differ late in a long one, its beginning would look the same.
    kept = bisect_right(list(accumulate(map(len, lines))), most)

    def tokens(text: str, counted: int | None) -> int:
        if counted is not None:
            return counted
        alike = len(text) if first is None or place < first else part.at if place == first else 0
        return round(alike * rates[0] + (len(text) - alike) * rates[1])

    return SegmentFacts(
        name=part.name,
        kind=part.kind,
        a_tokens=tokens(part.a, part.a_tokens),
        b_tokens=tokens(part.b, part.b_tokens),
        lines=lines[:kept],
        left_out=len(lines) - kept,
    )


def _lines(part: SegmentDiff) -> list[str]:
    match part.kind:
        case "same":
            return []
        case "only in A":
            return [f"-{line}" for line in part.a.split("\n")]
        case "only in B":
            return [f"+{line}" for line in part.b.split("\n")]
    return unified_lines(part.a.split("\n"), part.b.split("\n"))
