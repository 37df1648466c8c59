"""`anyclaude-tui traces diff`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from proxy.traces.analysis.comparing.diff import PromptDiff, SegmentDiff, diff
from proxy.traces.analysis.comparing.line_diff import unified_lines
from proxy.traces.schema import Trace
from tui.client.differences.rows import DiffRow, diff_rows
from tui.client.differences.stretches import drawn_text
from tui.client.figures import count, day_and_clock, percent, ratio, seconds
from tui.client.wire_text import hanging, line_text, shorten
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation
from tui.commands.output import terminal_columns, write_data
from tui.commands.traces.places import open_trace, traces_folder

_HANG = 8  # cells, of what does not fit into a line
_MOST_LINES = 40  # of one segment's difference
_MOST_CELLS = 400  # of a line that has no counterpart
_MARKS = {"same": "=", "changed": "!", "only in A": "-", "only in B": "+"}


def run_traces_diff(invocation: Invocation, a: str, b: str, *, whole: bool, as_json: bool) -> int:
    """Print where the prompts of two traces part; returns the exit code, `FAILED` where they do.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such trace.
    """
    folder = traces_folder(invocation)
    one, other = open_trace(folder, a), open_trace(folder, b)
    found = diff(one, other)
    if as_json:
        write_data(json.dumps(asdict(found), indent=2) + "\n")
    else:
        columns = terminal_columns()
        lines = (part for line in _report(one, other, found, whole=whole) for part in _fitted(line, columns))
        write_data("\n".join(lines) + "\n")
    return ExitCode.FINE if found.first is None else ExitCode.FAILED


def _fitted(line: str, columns: int) -> list[str]:
    return hanging(line, columns, min(_HANG, len(line) - len(line.lstrip()) + 2))


def _report(a: Trace, b: Trace, found: PromptDiff, *, whole: bool) -> Iterator[str]:
    for name, trace in (("A", a), ("B", b)):
        yield (
            f"{name}  {trace.id}  {day_and_clock(trace.time)}  {trace.lane}"
            f"  session {line_text(trace.session)[:8] or '-'}  {trace.usage.prompt_tokens:,} tokens"
        )
    models = [trace.upstream_model or trace.model for trace in (a, b)]
    if models[0] != models[1]:
        yield line_text(f"their models differ ({models[0]}, {models[1]}): nothing of A's state could serve B")
    yield ""
    if found.first is None:
        yield "both prompts are the same"
    else:
        yield from _first(found, found.segments[found.first])
    if found.told:
        yield f"the prefix cache reported of B: {line_text(found.told)}"
    yield ""
    yield from _segments(found, whole=whole)


def _first(found: PromptDiff, segment: SegmentDiff) -> Iterator[str]:
    kind = f"{segment.kind} at its character {segment.at:,}" if segment.kind == "changed" else segment.kind
    yield line_text(f"the first difference is {segment.name}: {kind}")
    before, now_a, now_b = found.around()
    lacks = "(ends here)" if _is_the_end(found, segment.kind) else "(has no such segment)"
    yield f"  both  {line_text(before)}"
    yield f"  A     {line_text(now_a) or lacks}"
    yield f"  B     {line_text(now_b) or lacks}"
    if found.position is None:
        yield "the tokens of B were not counted"
        return
    about = "about " if found.estimated else ""
    took = f", {seconds(found.cost_s)} of prefill" if found.cost_s is not None else ""
    share = percent(ratio(found.shared, found.characters))
    yield f"B shares {about}{found.position:,} tokens with A ({share} of its text); the rest,"
    yield f"{about}{found.recomputed:,} tokens, could not come from A{took}"


def _is_the_end(found: PromptDiff, kind: str) -> bool:
    """Whether the one that lacks the first difference has nothing behind it either."""
    return kind == "changed" or all(part.kind == kind for part in found.segments[found.first :])


def _segments(found: PromptDiff, *, whole: bool) -> Iterator[str]:
    run = 0
    for place, part in enumerate(found.segments):
        if part.kind == "same" and not whole:
            run += 1
            continue
        if run:
            yield f"= {run} the same"
            run = 0
        sizes = f"{count(len(part.a))} / {count(len(part.b))} characters"
        if part.a_tokens is not None and part.b_tokens is not None:
            sizes = f"{count(part.a_tokens)} / {count(part.b_tokens)} tokens"
        here = "  <- first difference" if place == found.first else ""
        yield f"{_MARKS[part.kind]} {line_text(part.name)}  {sizes}{here}"
        if part.kind == "changed":
            yield from _lines(part)
    if run:
        yield f"= {run} the same"


def _lines(part: SegmentDiff) -> Iterator[str]:
    rows = diff_rows(unified_lines(part.a.split("\n"), part.b.split("\n")))
    lines = [line for row in rows for line in _of_row(row)]
    yield from (f"    {line}" for line in lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        yield f"    … {len(lines) - _MOST_LINES:,} more lines; --json has both texts"


def _of_row(row: DiffRow) -> Iterator[str]:
    match row.kind:
        case "note":
            yield f" {row.words}"
        case "same":
            yield f" {shorten(drawn_text(row, 'a'), _MOST_CELLS)}".rstrip()
        case "changed":  # of long lines the part that differs
            yield f"-{drawn_text(row, 'a')}"
            yield f"+{drawn_text(row, 'b')}"
        case _:
            for sign, line, side in (("-", row.a, "a"), ("+", row.b, "b")):
                if line is not None:
                    yield f"{sign}{shorten(drawn_text(row, side), _MOST_CELLS)}"
