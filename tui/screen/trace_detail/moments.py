"""The moments of a request in their order, with the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass

from tui.client.figures import clock, plural, seconds, size
from tui.client.wire_text import line_text, shorten
from tui.screen.charts import shape
from tui.screen.styled_line import Line, line_width
from tui.screen.trace_detail.opened_trace import OpenedTrace, json_size
from tui.screen.trace_detail.waterfall import next_turn
from tui.screen.widgets.block_layout import Block

_LONG_GAP = 0.25  # of the whole time: a gap that is shown in another colour
_BAR, _NARROW_BAR, _WIDE = 24, 6, 96  # cells of a gap's bar, and from which width on it has them


@dataclass(frozen=True)
class TraceMoment:
    """Something that happened, in seconds after the request arrived."""

    at: float
    what: str
    style: str = ""
    note: str = ""


def moments(opened: OpenedTrace) -> list[TraceMoment]:
    """What a trace has a time for, in order."""
    trace, times, usage = opened.trace, opened.trace.timings, opened.trace.usage
    cached = trace.cache
    looked = f"{cached.matched_tokens:,} of {cached.prompt_tokens:,} tokens restored" if cached else ""
    found = [TraceMoment(0.0, "received", note=f"{trace.request.method} {trace.request.path}")]
    for at, what, note in (
        (times.queued, "accepted upstream", line_text(trace.upstream_model)),
        (times.first_byte, "first byte to the client", ""),
        (times.prefill_start, "prefill begins", looked),
        (times.first_token, "first token", f"behind {plural(usage.prompt_tokens, 'token')} of the prompt"),
    ):
        if at is not None:
            found.append(TraceMoment(at, what, "bold" if what == "first token" else "", note))
    names = {call.id: line_text(call.name) for call in trace.tool_calls}
    for part in trace.written:
        what = {"text": "text written", "thinking": "thinking written", "tool": "call written"}[part.kind]
        size_of = plural(part.tokens, "token") if part.tokens else ""
        note = "  ".join(word for word in (names.get(part.call, ""), size_of) if word)
        found.append(TraceMoment(part.end, what, "tool" if part.kind == "tool" else "", note))
    if times.last_token is not None:
        found.append(TraceMoment(times.last_token, "last token", note=plural(usage.output_tokens, "token")))
    if times.done is not None:
        error, answer = trace.response.error, trace.response
        ended = line_text(error.message) if error is not None else line_text(opened.stop_reason)
        style = "warn" if answer.cancelled else "bad" if error is not None else "ok"
        found.append(TraceMoment(times.done, "ended", style, f"HTTP {answer.status}  {ended}"))
        for call in trace.tool_calls:
            if call.duration_s is not None:
                sent = "its result is an error" if call.is_error else "its result is there"
                moment = TraceMoment(
                    times.done + call.duration_s,
                    f"{line_text(call.name)}: {sent}",
                    "bad" if call.is_error else "",
                )
                found.append(moment)
    if (row := next_turn(opened)) is not None:
        found.append(
            TraceMoment(row.time - trace.time, "next request of the session", "accent", line_text(row.id))
        )
    return sorted(found, key=lambda moment: moment.at)


def events_part(opened: OpenedTrace) -> list[Block]:
    """The moments, each with its gap to the one before it; long gaps stand out."""
    found = moments(opened)
    about = f"{size(sent)} received" if (sent := json_size(opened.raw.request.body)) else ""

    def lines(width: int) -> list[Line]:
        whole = max((opened.trace.timings.done or 0.0), 1e-9)
        drawn: list[Line] = []
        before = 0.0
        for moment in found:
            drawn.append(_line(opened.trace.time, moment, moment.at - before, whole, width))
            before = moment.at
        return drawn

    title: Line = [(plural(len(found), "moment"), "bold"), ("   time, seconds since arrival, gap", "muted")]
    blocks = [Block(title, lines, about, open=True)]
    if notes := opened.trace.notes:
        text = "\n".join(f"· {note}" for note in notes)
        blocks.append(Block([("Notes", "bold")], text, plural(len(notes), "note"), open=True))
    return blocks


def _line(arrived: float, moment: TraceMoment, gap: float, whole: float, width: int) -> Line:
    share = min(1.0, gap / whole)
    long = share >= _LONG_GAP
    style = "warn" if long else "muted"
    room = _BAR if width >= _WIDE else _NARROW_BAR
    cells = max(1, round(share * room)) if gap >= 0.0005 else 0
    line: Line = [
        (clock(arrived + moment.at), "dim"),
        (f"  {'+' + seconds(moment.at):>7}", "label"),
        (f"  {seconds(gap) if gap >= 0.0005 else '·':>6} ", style),
        (f"{shape('prefill' if long else 'neutral') * cells:<{room}}", style if long else "neutral"),
        (f"  {moment.what}", moment.style),
    ]
    space = width - line_width(line) - 2
    return [*line, (f"  {shorten(moment.note, space)}", "muted")] if moment.note and space > 4 else line
