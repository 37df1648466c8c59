"""What a request did, step by step on one time axis, and what its client did then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.traces.analysis.decode_speed import speed_after_first
from tui.client.event_text import one_line_arguments
from tui.client.figures import plural, rate, seconds
from tui.client.why_text import LEAST_S
from tui.client.wire_text import line_text, shorten, width
from tui.screen.styled_line import Line
from tui.screen.trace_detail.opened_trace import OpenedTrace
from tui.screen.trace_detail.phase_looks import PHASE_LOOKS

if TYPE_CHECKING:
    from proxy.traces.schema import Trace, TraceSummary, WrittenPart

_NAME, _TOOK = 13, 8  # cells left of the axis
_MOST_PARTS = 12  # of an answer that are shown one by one
_LONGEST_WAIT = 2.0  # of the client that the axis goes on for, as often as the request itself took
_WRITTEN = {"thinking": ("┊", "thinking"), "text": ("▓", "area.decode"), "tool": ("▬", "tool")}
_FIRST = ("◆", "bold")


@dataclass(frozen=True)
class Step:
    """A stretch of the axis, in seconds after the request arrived; one without a length is a moment."""

    name: str
    start: float
    end: float
    look: tuple[str, str]
    note: str = ""
    click: str = ""
    at_most: bool = False  # it may have ended sooner


def steps(opened: OpenedTrace) -> list[Step]:
    """All that the host did for a request, in order."""
    from proxy.traces.analysis.why import phases_of

    trace = opened.trace
    first = trace.timings.first_token
    found: list[Step] = []
    marked = first is None
    for phase in phases_of(trace):
        start, end = phase.start, phase.start + phase.seconds
        if phase.name == "first token":  # from the end of prefill on, where the engine tells
            found.append(Step(phase.name, start, end, _FIRST, seconds(first)))
            marked = True
            continue
        if not marked and first is not None and start >= first:
            found.append(Step("first token", first, first, _FIRST, seconds(first)))
            marked = True
        if phase.name == "decode" and trace.written:
            found += _written(trace)
        elif phase.seconds >= LEAST_S:
            note = _note(phase.name, trace, phase.seconds)
            found.append(Step(phase.name, start, end, PHASE_LOOKS[phase.name], note))
    if not marked and first is not None:
        found.append(Step("first token", first, first, _FIRST, seconds(first)))
    return found


def clients_steps(opened: OpenedTrace) -> list[Step]:
    """What came behind the answer: the client's time with each call, and its next request."""
    trace, done = opened.trace, opened.trace.timings.done or 0.0
    row = next_turn(opened)
    later = max(done, row.time - trace.time) if row is not None else None
    found: list[Step] = []
    for call in trace.tool_calls:
        end = done + call.duration_s if call.duration_s is not None else later
        if call.is_error is None or end is None:
            continue  # it has no result, or nobody knows when that came
        sign, style = ("✗", "bad") if call.is_error else ("✓", "ok")
        what, _ = one_line_arguments(call.input, call.raw)
        note = f"{sign} {line_text(what)}".strip()
        # A client that does not say what a call took had its result by its next request.
        at_most = call.duration_s is None
        found.append(Step(line_text(call.name), done, end, ("▚", style), note, at_most=at_most))
    if later is not None:
        note = f"{seconds(later - done)} after this answer   → goes there"
        found.append(Step("next request", later, later, ("◆", "accent"), note, "@screen.turn(1)"))
    return found


def next_turn(opened: OpenedTrace) -> TraceSummary | None:
    """The row of the session's next request, if it has one."""
    turns = opened.turns
    if turns is None or turns.place + 1 >= len(turns.turns):
        return None
    return turns.turns[turns.place + 1]


def waterfall(opened: OpenedTrace, cells: int) -> list[Line]:
    """The axis with its steps, and below it what the client did."""
    host, client = steps(opened), clients_steps(opened)
    if not host:
        return [[("No times were recorded.", "muted")]]
    done = max(step.end for step in host)
    ends = max((step.end for step in client), default=done)
    whole = ends if ends <= done * (1 + _LONGEST_WAIT) else done
    room = max(10, cells - _NAME - _TOOK)
    lines = [_axis(whole, room), *(_row(step, whole, room) for step in host)]
    if client:
        lines.append([(" " * (_NAME + _TOOK), ""), ("then the client", "dim")])
        lines += [_row(step, whole, room) for step in client]
    return lines


def _written(trace: Trace) -> list[Step]:
    names = {call.id: line_text(call.name) for call in trace.tool_calls}
    found: list[Step] = []
    calls = 0
    for number, part in enumerate(trace.written[:_MOST_PARTS]):
        # The first token of all came before its part began, and what an answer resumes was not written now.
        timed = part.tokens + 1 if number else part.tokens - trace.timings.resumed_tokens
        speed = speed_after_first(timed, part.end - part.start)
        calls += part.kind == "tool"
        name = f"call {calls}" if part.kind == "tool" else part.kind
        found.append(
            Step(
                name, part.start, part.end, _WRITTEN[part.kind], _size(part, speed, names.get(part.call, ""))
            )
        )
    if rest := trace.written[_MOST_PARTS:]:
        note = plural(len(rest), "more part")
        found.append(Step("…", rest[0].start, rest[-1].end, _WRITTEN["text"], note))
    return found


def _size(part: WrittenPart, speed: float, name: str) -> str:
    size = plural(part.tokens, "token") if part.tokens else ""
    return "  ".join(word for word in (name, size + (f", {rate(speed)} tok/s" if speed else "")) if word)


def _note(name: str, trace: Trace, took: float) -> str:
    usage = trace.usage
    if name in ("prefill", "upstream"):
        computed = usage.prompt_tokens - usage.cache_read_input_tokens
        speed = (
            f", {rate(computed / took)} tok/s" if computed >= 32 and took > 0.05 and name == "prefill" else ""
        )
        return f"{plural(computed, 'token')}{speed}" if computed > 0 else ""
    if name == "restore" and trace.cache is not None:
        if not trace.cache.matched_tokens:
            return "nothing"
        return f"{plural(trace.cache.matched_tokens, 'token')} from {trace.cache.tier}"
    return ""


def _row(step: Step, whole: float, room: int) -> Line:
    moment = step.end <= step.start
    took = "" if moment else ("≤" if step.at_most else "") + seconds(step.end - step.start)
    label: Line = [
        (
            f"{shorten(step.name, _NAME - 1):<{_NAME}}",
            f"{'bold' if moment else 'label'} {step.click}".strip(),
        ),
        (f"{took:>{_TOOK - 2}}  ", ""),
    ]
    begin = min(room - 1, max(0, round(room * step.start / whole))) if whole else 0
    end = min(room, max(begin + 1, round(room * step.end / whole))) if whole else 1
    sign, style = step.look
    if step.start > whole:  # the axis ended before
        begin, end, sign, style = 0, 0, "", ""
    bar = (sign * (end - begin), style)
    space = max(room - end, begin) - 1
    note = step.note if width(step.note) <= space else shorten(step.note.split(", ")[0], max(0, space))
    tone = f"muted {step.click}".strip()
    if width(note) <= room - end - 1 or not begin:
        return [*label, (" " * begin, ""), bar, (" " if note and end else "", ""), (note, tone)]
    return [*label, (" " * (begin - width(note) - 1), ""), (note, tone), (" ", ""), bar]


def _axis(whole: float, room: int) -> Line:
    """The seconds above the bars, at steps that people count in."""
    raw = whole / max(2, room // 12)
    step = next((one for one in _ticks() if one >= raw), whole)
    text = [" "] * room
    number = 0
    while step > 0 and (at := number * step) <= whole:
        label = seconds(at) if at else "0"
        place = round(room * at / whole) if whole else 0
        if place + len(label) < room - len(seconds(whole)) - 1:
            text[place : place + len(label)] = label
        number += 1
    end = seconds(whole)
    text[room - len(end) :] = end
    return [(" " * (_NAME + _TOOK), ""), ("".join(text), "dim")]


def _ticks() -> list[float]:
    return [factor * 10.0**power for power in range(-3, 5) for factor in (1, 2, 5)]
