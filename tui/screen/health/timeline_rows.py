"""The timeline as lines: state, probes, memory with its limit, speed, and requests, on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from proxy.timeline.buckets import HealthSample
from proxy.timeline.health_history import HealthHistory, StateMark
from tui.client.figures import clock, count, plural, rate, seconds, size
from tui.client.records import Snapshot
from tui.client.timeline.view import Axis, SessionRow, TimelineView, cell_spans, session_rows, state_cells
from tui.client.wire_text import line_text, shorten
from tui.screen.charts import sparkline
from tui.screen.engine_label import engine_memory, uses_other_backend
from tui.screen.styled_line import Line, Span, fit, line_width

LABEL, VALUE = 11, 18  # cells left and right of the time
_MARGIN = 2
LIMIT = "┄"
_NO_PROCESS = ("exited", "failed", "stopped", "off", "host")
_BUSY_S = 12.0
_NEAR = 0.9  # of the memory limit, from which on its line has the colour of a warning
_LOOKS: dict[str, Span] = {
    "busy": ("█", "area.decode"),
    "ready": ("▄", "area.ok"),
    "connects": ("▄", "area.ok"),
    "loading": ("▒", "warn"),
    "starting": ("▒", "warn"),
    "restarting": ("↻", "warn"),
    "stalled": ("▓", "bad"),
    "exited": ("✗", "bad"),
    "failed": ("✗", "bad"),
    "refused": ("✗", "bad"),
    "stopped": ("─", "muted"),
    "off": (" ", ""),
    "host": (" ", ""),
}
_BY_YOU: Span = ("↺", "accent")  # a restart
_OVER: Span = ("▓", "bad")  # memory above its limit, which is full height
_UNKNOWN: Span = ("·", "track")
# Distances of the labels of the axis, of which the shortest with room between two labels is taken.
_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800)


def cells_of(width: int) -> int:
    """The cells for the time in a timeline of `width` cells."""
    return max(10, width - LABEL - VALUE - _MARGIN)


def timeline_lines(
    history: HealthHistory, snapshot: Snapshot, view: TimelineView, now: float, width: int, height: int
) -> list[Line]:
    """The timeline in `width` by `height` cells: at least six lines; the sessions get what is left."""
    cells = cells_of(width)
    axis = view.axis(now, cells)
    cursor = axis.place(view.cursor) if view.cursor is not None else None
    samples = history.samples.cells(axis.start, axis.step, cells, now)
    shown = cursor if cursor is not None else axis.place(now)
    marks = state_cells(history.marks, axis)
    rows = [_axis(axis, cursor), _state(history, snapshot, axis, marks, samples, cursor)]
    rows += [_probes(snapshot, marks, samples, axis, cursor, shown)]
    other = uses_other_backend(snapshot)
    if not other:
        rows += _memory(snapshot, marks, samples, cursor, shown, with_limit=height >= 7)
    rows.append(_speed(samples, cursor, shown))
    most = max(0, height - len(rows))
    sessions = session_rows(history, snapshot, axis, most)
    others = "other" if len(sessions) > 1 else "session"
    rows += [_session(row, axis, cursor, others) for row in sessions]
    if not sessions and most:
        empty: Line = [("no request in this time", "dim")]
        rows.append([(" " * (_MARGIN + LABEL), ""), *fit(empty, cells)])
    return rows


def _row(label: str, cells: Line, value: Line, cursor: int | None) -> Line:
    """A row, with the cell at the cursor in reverse."""
    name: Line = [(" " * _MARGIN, ""), *fit([(label, "label")], LABEL)]
    return [*name, *_at_cursor(cells, cursor), ("  ", ""), *fit(value, VALUE - 2)]


def _at_cursor(cells: Line, cursor: int | None) -> Line:
    if cursor is None:
        return cells
    out: Line = []
    at = 0
    for text, style in cells:
        here = cursor - at
        if 0 <= here < len(text):
            mark = ("│", "accent") if text[here] == " " else (text[here], f"{style} reverse".strip())
            out += [(text[:here], style), mark, (text[here + 1 :], style)]
        else:
            out.append((text, style))
        at += len(text)
    return [span for span in out if span[0]]


def _axis(axis: Axis, cursor: int | None) -> Line:
    """The labels of the axis, and a mark with the moment above the cursor."""
    cells = [" "] * axis.cells
    room = 8 * axis.step
    distance = next((step for step in _STEPS_S if step >= room), _STEPS_S[-1])
    offset = _utc_offset(axis.start)
    first = (axis.start + offset) // distance + 1
    moment = first * distance - offset
    while moment < axis.end:
        text = _tick(moment, distance)
        at = axis.place(moment)
        if at is not None and at + len(text) <= axis.cells:
            cells[at : at + len(text)] = text
        moment += distance
    line: Line = [(" " * (_MARGIN + LABEL), ""), ("".join(cells), "dim")]
    if cursor is None:
        return line
    shown = f"▼ {_at(axis.moment(cursor), axis)}"
    begin = min(cursor, axis.cells - len(shown))
    if begin < cursor:  # the mark stays above the cell
        shown = f"{_at(axis.moment(cursor), axis)} ▼"
        begin = max(0, cursor - len(shown) + 1)
    text = "".join(cells)
    # A label that the mark would cut in two goes.
    before, after = text[:begin], text[begin + len(shown) :]
    before = before if not before or before[-1] == " " else _without_last(before)
    after = after if not after or after[0] == " " else _without_first(after)
    return [line[0], (before, "dim"), (shown, "accent bold"), (after, "dim")]


def _without_last(text: str) -> str:
    kept = text.rstrip(" ").rpartition(" ")[0]
    return kept.ljust(len(text))


def _without_first(text: str) -> str:
    kept = text.partition(" ")[2]
    return kept.rjust(len(text))


def _at(moment: float, axis: Axis) -> str:
    """The moment in the middle of a cell, as exactly as the cells are."""
    if axis.step * axis.cells > 86_400:
        return datetime.fromtimestamp(moment).strftime("%a %d %H:%M")
    return clock(moment) if axis.step < 60 else clock(moment)[:5]


def _tick(moment: float, distance: float) -> str:
    stamp = datetime.fromtimestamp(moment)
    if distance >= 86_400:
        return stamp.strftime("%a %d")
    return (
        stamp.strftime("%H:%M") if stamp.hour or stamp.minute or distance < 21_600 else stamp.strftime("%a")
    )


def _utc_offset(moment: float) -> float:
    offset = datetime.fromtimestamp(moment).astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _state(
    history: HealthHistory,
    snapshot: Snapshot,
    axis: Axis,
    marks: Sequence[StateMark | None],
    samples: Sequence[HealthSample | None],
    cursor: int | None,
) -> Line:
    line: Line = []
    left = 0.0  # seconds for which a busy engine needs no other sign of it
    for place, (mark, sample) in enumerate(zip(marks, samples, strict=True)):
        left = _BUSY_S if sample is not None and sample.busy else left - axis.step if sample is None else 0.0
        if mark is None:
            line.append((" ", "") if axis.start + place * axis.step > axis.now else _UNKNOWN)
            continue
        busy = mark.state == "ready" and left > 0
        text, style = _LOOKS.get("busy" if busy else mark.state, _UNKNOWN)
        by_you = mark.by_you and mark.state == "restarting"
        line.append(_BY_YOU if by_you else (text, style))
    name = "upstream" if uses_other_backend(snapshot) else "engine"
    return _row(name, line, _incidents(history, axis, none=name), cursor)


def _incidents(history: HealthHistory, axis: Axis, *, none: str) -> Line:
    """How often it ended in this time."""
    seen = [mark for mark in history.marks if axis.start <= mark.time < axis.end]
    exits = sum(mark.state == "exited" for mark in seen)
    refused = sum(mark.state == "refused" for mark in seen)
    yours = sum(mark.by_you and mark.state == "restarting" for mark in seen)
    if exits or refused:
        bad = plural(exits, "exit") if exits else plural(refused, "outage")
        return [(bad, "bad"), *([(f", {yours}↺ you", "muted")] if yours else [])]
    if yours:
        return [(f"{yours}↺ by you", "muted")]
    return [("no exit" if none == "engine" else "no outage", "dim")]


def _probes(
    snapshot: Snapshot,
    marks: Sequence[StateMark | None],
    samples: Sequence[HealthSample | None],
    axis: Axis,
    cursor: int | None,
    shown: int | None,
) -> Line:
    """The height is the latency, of several the longest; a cross where one failed. Of now the last one.

    Where no process ran, none was probed, and what an earlier one answered is not of now.
    """
    answered = [sample.latency_s for sample in samples if sample is not None and sample.latency_s]
    top = max([*answered, 0.02])
    line: Line = []
    last: HealthSample | None = None
    probed = [place for place, sample in enumerate(samples) if sample is not None and sample.probes]
    now = axis.place(axis.now)
    between = range(probed[0], (axis.cells if now is None else now) + 1) if probed else range(0)
    for place, (mark, sample) in enumerate(zip(marks, samples, strict=True)):
        nobody = mark is not None and mark.state in _NO_PROCESS
        if nobody and (shown is None or place <= shown):
            last = None
        if sample is None or not sample.probes:
            later = axis.start + place * axis.step > axis.now or nobody
            line.append(("▁" if place in between and not nobody else " " if later else "·", "track"))
        elif sample.failed:
            line.append(("✗", "bad"))
        else:
            line += sparkline([sample.latency_s], 1, "ok", top)
        if sample is not None and sample.probes and (shown is None or place <= shown):
            last = sample
    value: Line = [("none yet", "dim")]
    if cursor is None and snapshot.probes and last is not None:
        probe = snapshot.probes[-1][1]
        last = HealthSample(probes=1, failed=int(not probe.ok), latency_s=probe.latency_s)
    if last is not None and last.failed:
        value = [(f"{last.failed} failed", "bad")]
    elif cursor is None and _is_gone(snapshot):
        value = [("·", "dim")]
    elif last is not None:
        value = [(seconds(last.latency_s), "")]
    return _row("probes", line, value, cursor)


def _memory(
    snapshot: Snapshot,
    marks: Sequence[StateMark | None],
    samples: Sequence[HealthSample | None],
    cursor: int | None,
    shown: int | None,
    *,
    with_limit: bool,
) -> list[Line]:
    """The engine's memory, drawn up to its limit, which is a line above it."""
    held, limit = engine_memory(snapshot)
    limits = [int(sample.limit_bytes) for sample in samples if sample is not None and sample.limit_bytes]
    limit = limit or (limits[-1] if limits else 0)
    values = [sample.memory_bytes or None if sample is not None else None for sample in samples]
    known = [(place, value) for place, value in enumerate(values) if value]
    at = 0.0
    line: Line = []
    before: float | None = None
    first = known[0][0] if known else len(values)
    # Up to now, if something is known of now.
    last = max((place for place, mark in enumerate(marks) if mark is not None), default=-1)
    last = max(last, known[-1][0] if known else -1)
    for place, (mark, value) in enumerate(zip(marks, values, strict=True)):
        # Between two probes it is what it was, and without a process it is none.
        before = value or (0.0 if mark is not None and mark.state in _NO_PROCESS else before)
        drawn = before if first <= place <= last else None
        at = before or 0.0 if shown is None or place <= shown else at
        over = drawn is not None and limit and drawn > limit
        top = float(limit) or _most(values)
        line += [_OVER] if over else sparkline([drawn], 1, "area.lane.main", top)
    at = float(held) if cursor is None and (held or _is_gone(snapshot)) else at
    style = "bad" if limit and at > limit else ""
    whole = size(at) if at else "·"
    if limit and not with_limit:
        most, _, unit = size(limit).partition(" ")
        whole = f"{whole.removesuffix(f' {unit}')}/{most} {unit}"
    rows = [_row("memory", line, [(whole, f"bold {style}".strip())], cursor)]
    if with_limit:
        text = LIMIT * len(samples) if limit else ""
        name = [(size(limit), "muted")] if limit else [("not known", "dim")]
        near = limit and at >= _NEAR * limit
        drawn_limit = fit([(text, "warn" if near else "dim")], len(samples))
        rows.insert(0, _row("limit", drawn_limit, list(name), cursor))
    return rows


def _is_gone(snapshot: Snapshot) -> bool:
    """Whether what was measured last was of a process that has ended."""
    return snapshot.engine is not None and snapshot.engine.is_gone


def _most(values: Sequence[float | None]) -> float:
    return max((value for value in values if value), default=1.0)


def _speed(samples: Sequence[HealthSample | None], cursor: int | None, shown: int | None) -> Line:
    values = [sample.tokens if sample is not None else 0.0 for sample in samples]
    line = sparkline(values, len(values), "area.decode")
    if cursor is None and shown:
        shown -= 1  # the cell of now is not over
    at = values[shown] if shown is not None and values else 0.0
    most = max(values, default=0.0)
    value: Line = [(_speed_words(at), "decode" if at else "dim")]
    if most > at:
        value.append((f", max {_speed_words(most)}", "muted"))
    return _row("tok/s", line, value, cursor)


def _speed_words(speed: float) -> str:
    return rate(speed) if speed < 9.95 else count(speed)


def _session(row: SessionRow, axis: Axis, cursor: int | None, others: str) -> Line:
    line = _styled(cell_spans(row.spans, axis))
    now = axis.place(axis.now)
    if row.running and now is not None:
        text = cell_spans(row.spans, axis)[:now]
        line = [*_styled(text), ("▶", "decode")]
    name = plural(row.others, others) if row.others else line_text(row.session, 80)[:6] or "no session"
    failed = sum(span.failed for span in row.spans) - row.repeated
    ends: Line = [(f" {failed}✗", "bad")] if failed > 0 else []
    if row.repeated:
        ends.append((f" {row.repeated}↻", "warn"))
    many = plural(row.requests, "request")
    if len(many) + line_width(ends) > VALUE - 2:
        many = f"{row.requests} req."
    value: Line = [(many, "muted"), *ends]
    line = fit(line, axis.cells)
    return _row(shorten(name, LABEL - 1), line, value, cursor)


def _styled(text: str) -> Line:
    line: Line = []
    for character in text:
        style = {"▬": "lane.main", "✗": "bad"}.get(character, "")
        if line and line[-1][1] == style:
            line[-1] = (line[-1][0] + character, style)
        else:
            line.append((character, style))
    return line
