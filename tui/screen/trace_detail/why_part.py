"""The first part of a trace: what happened and why, when, with which tokens, and the turns around it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.events.causes import cause_of, end_of_cancelled
from proxy.traces.analysis.decode_speed import decode_speed
from tui.client.figures import clock, count, day_and_clock, plural, rate, ratio, seconds
from tui.client.why_text import eviction_words, why_advice, why_sentence, why_usual
from tui.client.wire_text import block_text, line_text, shorten, wrap
from tui.screen.charts import bar, shape
from tui.screen.panes.cache_parts.misses import REASON_LABELS, REASONS
from tui.screen.panes.request_cells import asker, cancelled
from tui.screen.styled_line import Line, fit, label_rows, line_width
from tui.screen.trace_detail.headline import answered_by
from tui.screen.trace_detail.opened_trace import OpenedTrace
from tui.screen.trace_detail.waterfall import waterfall
from tui.screen.trace_list.columns import CLIENT_CLOSED_REQUEST, did_line
from tui.screen.widgets.block_layout import Block

if TYPE_CHECKING:
    from proxy.traces.schema import Trace, TraceSummary

LABEL_CELLS = 12
_TURN_BAR = 12
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
# What the name of a counted part holds, and its kind; the first that fits.
_KINDS = (
    ("system and tools", "system and tools"),  # some templates let nobody count them apart
    ("reminders", "reminders"),
    ("tool result", "tool results"),
    ("assistant", "answers"),
    ("message", "your messages"),
    ("tool", "tools"),
    ("system", "system"),
)
_VERDICTS = {"failed": "bad", "cancelled": "warn", "slow": "warn", "missed": "warn"}


def why_part(opened: OpenedTrace) -> list[Block]:
    """What went wrong, if anything did, or why it took its time; the waterfall; tokens; turns; identity."""
    trace = opened.trace
    return [
        *_headline(opened),
        Block([], lambda width: waterfall(opened, width), open=True),
        Block([("Tokens", "bold")], lambda width: [*tokens(trace, width), *cache(trace, width)], open=True),
        *_turns(opened),
        Block([("Request", "bold")], lambda width: identity(trace, width), open=True),
    ]


def _headline(opened: OpenedTrace) -> list[Block]:
    """Why the request has no whole answer, or what the host found out about it."""
    answer, why = opened.trace.response, opened.why
    title: Line
    if answer.cancelled:
        how = "before its answer began" if opened.trace.timings.first_token is None else "within its answer"
        cause = answer.error.cause if answer.error else ""
        title = [("⊘ ", "warn"), (f"Cancelled: {end_of_cancelled(cause)} {how}.", "warn")]
        notes = "\n".join(block_text(note) for note in opened.trace.notes)
        return [Block(title, notes, open=True) if notes else Block(title)]
    if answer.error is not None:
        kind, message = line_text(answer.error.type), answer.error.message
        cause = line_text(answer.error.cause) or cause_of(kind, message)
        title = [("✗ ", "bad"), (cause[:1].upper() + cause[1:], "bad bold")]
        return [Block(title, message or "(no message)", f"HTTP {answer.status}, {kind}", open=True)]
    if why is None:
        return []
    style = f"bold {_VERDICTS.get(why.verdict, '')}".strip()
    said = [(why_sentence(why), style)]
    if usual := why_usual(why):
        said.append((f"Usual: {usual}.", "muted"))
    if advice := why_advice(why):
        said.append((advice, ""))

    def lines(width: int) -> list[Line]:
        return [
            [(part, style)]
            for text, style in said
            for part in wrap(block_text(text), min(width, 110), whole_words=True)
        ]

    return [Block([], lines, open=True)]


def tokens(trace: Trace, width: int) -> list[Line]:
    """The parts of the prompt in tokens, and the number and speed of the answer's tokens."""
    usage = trace.usage
    prompt = usage.prompt_tokens
    restored, kept, rest = (
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        usage.input_tokens,
    )
    left = "not kept"
    if trace.cache is None:  # what another server keeps of a prompt, nobody says
        kept, rest = kept + rest, 0
        if not restored:  # nor what it restored of it
            kept = 0
    elif trace.cache.reached_tokens is not None:
        kept = max(0, trace.cache.reached_tokens - restored)
        left, rest = "not reached", max(0, prompt - restored - kept)
    parts = [("restored", restored, "restored"), ("prefilled", kept, "prefill"), (left, rest, "neutral")]
    cells = max(8, min(100, width - LABEL_CELLS - 18))
    shares = [(ratio(number, prompt) or 0.0, style) for _, number, style in parts]
    legend: Line = [(f"{'':<{LABEL_CELLS}}", "")]
    for name, number, style in parts:
        if number:
            legend += [(f"{shape(style)} {name} {number:,}", style), ("   ", "")]
    decode = decode_speed(trace.timings, usage.output_tokens)
    answer: Line = [(f"{'answer':<{LABEL_CELLS}}", "label"), (f"{usage.output_tokens:,}", "decode")]
    kinds = {"thinking": 0, "text": 0, "tool": 0}
    for part in trace.written:
        kinds[part.kind] += part.tokens
    if told := [
        f"{'calls' if kind == 'tool' else kind} {number:,}" for kind, number in kinds.items() if number
    ]:
        answer.append((f"   {', '.join(told)}", "muted"))
    answer.append((f"   {rate(decode)} tok/s" if decode else "", "muted"))
    made = made_of(trace)
    if not prompt:  # 0 would be a count
        why = "" if usage.output_tokens else ": it did not get that far"
        uncounted: Line = [(f"{'prompt':<{LABEL_CELLS}}", "label"), (f"not counted{why}", "muted")]
        return [uncounted, answer] if usage.output_tokens else [uncounted]
    estimated = " estimated" if trace.usage_estimated else ""
    shows = any(number for _, number, _ in parts)
    drawn: Line = (
        [*bar(shares, cells), (f"  {count(prompt):>7}", "bold")] if shows else [(f"{prompt:,}", "bold")]
    )
    return [
        [(f"{'prompt':<{LABEL_CELLS}}", "label"), *drawn, (estimated, "muted")],
        *([fit(legend, width)] if shows else []),
        *_made_lines(made, width),
        answer,
    ]


def _made_lines(made: str, width: int) -> list[Line]:
    """The kinds on as many lines as they need: one that is cut off would be another figure."""
    rows: list[str] = []
    for kind in made.split("   ") if made else ():
        if rows and LABEL_CELLS + len(rows[-1]) + 3 + len(kind) <= width:
            rows[-1] += f"   {kind}"
        else:
            rows.append(kind)
    labels = ("made of", *[""] * len(rows))
    return [
        [(f"{label:<{LABEL_CELLS}}", "label"), (row, "muted")]
        for label, row in zip(labels, rows, strict=False)
    ]


def made_of(trace: Trace) -> str:
    """The kinds of what the prompt is made of, in tokens, as the engine counted them; empty: it did not."""
    kinds: dict[str, int] = {}
    for part in trace.prompt_parts:
        kind = next((kind for word, kind in _KINDS if word in part.name), "other")
        kinds[kind] = kinds.get(kind, 0) + part.tokens
    return "   ".join(f"{kind} {count(tokens)}" for kind, tokens in kinds.items() if tokens)


def cache(trace: Trace, width: int) -> list[Line]:
    """What the prefix cache restored, and the reason for a miss."""
    verdict = trace.cache
    if verdict is None:
        words = ""
        if trace.usage.cache_read_input_tokens:
            words = "the upstream's own: it says how much was restored, and no more"
        words = words or ("this backend reports no cache" if trace.usage.prompt_tokens else "")
        return label_rows([("cache", [(words, "muted")])], width, LABEL_CELLS) if words else []
    miss = verdict.miss
    took = f" in {seconds(verdict.restore_s)}" if verdict.restore_s else ""
    where = f" from {verdict.tier}{took}" if verdict.matched_tokens else ""
    restored = f"{verdict.matched_tokens:,} of {verdict.prompt_tokens:,} tokens restored{where}"
    kept = f", {plural(verdict.kept_tokens, 'token')} kept for later" if verdict.kept_tokens else ""
    pairs: list[tuple[str, Line]] = [("cache", [(restored + kept, "muted")])]
    if miss is not None:
        at = f" at token {miss.position:,}" if miss.reason == "diverged" else ""
        at += f", in {line_text(miss.segment)}" if at and miss.segment else ""
        reason = f"{REASON_LABELS.get(miss.reason, miss.reason)}{at}"
        pairs.append(
            (
                "miss",
                [(eviction_words(miss) or reason, "warn"), (f": {REASONS.get(miss.reason, '')}", "muted")],
            )
        )
        room = width - LABEL_CELLS
        pairs.append(("  stored", [(shorten(line_text(miss.before), room), "bad")] if miss.before else []))
        pairs.append(("  now", [(shorten(line_text(miss.now), room), "ok")] if miss.now else []))
    return label_rows(pairs, width, LABEL_CELLS)


def _turns(opened: OpenedTrace) -> list[Block]:
    """The turns of the session around this one."""
    around = opened.turns
    if around is None or len(around.turns) < 2:
        return []
    note = f"turn {around.number:,} of {around.total:,}   ← before   → after"
    first = around.number - around.place
    rows = list(enumerate(around.turns, first))

    def lines(width: int) -> list[Line]:
        most = max((row.usage.prompt_tokens for row in around.turns), default=0)
        return [_turn_line(number, row, number == around.number, most, width) for number, row in rows]

    return [Block([("Same session", "bold")], lines, note, open=True)]


def _turn_line(number: int, row: TraceSummary, here: bool, most: int, width: int) -> Line:
    usage = row.usage
    scale = ratio(usage.prompt_tokens, most) or 0.0
    read = ratio(usage.cache_read_input_tokens, usage.prompt_tokens) or 0.0
    told = (read or row.backend == "mlx") and (row.ttft_s is not None or not row.error)
    shares = [(scale * read, "restored"), (scale * (1 - read), "prefill" if told else "neutral")]
    click = "" if here else opens(row.id)
    line: Line = [
        ("▶ " if here else "  ", "accent"),
        (f"{number:>4}  ", f"{'bold' if here else 'muted'} {click}".strip()),
        (clock(row.time), f"{'bold' if here else 'muted'} {click}".strip()),
        (f"  {count(usage.prompt_tokens) if usage.prompt_tokens else '·':>6}  ", ""),
        *bar(shares, _TURN_BAR, ""),
        (f"  {seconds(row.duration_s):>6}  ", ""),
    ]
    return [*line, *_did(row, max(0, width - line_width(line)))]


def _did(row: TraceSummary, cells: int) -> Line:
    """What its answer did, or why there is none."""
    if row.status == CLIENT_CLOSED_REQUEST:
        return cancelled(row.cause, cells)
    if row.error:
        return [("✗ ", "bad"), (shorten(line_text(row.cause or row.error), cells - 2), "bad")]
    did = did_line(row) or [(line_text(row.preview) or row.stop_reason, "muted")]
    return fit(did, cells) if line_width(did) > cells else did


def opens(trace_id: str) -> str:
    """The style of what leads to this trace; nothing for what is no id, as it becomes part of an action."""
    return f"@screen.open('{trace_id}')" if _ID.fullmatch(trace_id) else ""


def identity(trace: Trace, width: int) -> list[Line]:
    """Session, lane, model and ids."""
    room = width - LABEL_CELLS
    model, asked = answered_by(trace), line_text(trace.model)
    other = f"   asked for as {asked}" if asked and asked != model else ""
    agent = "  ".join(part for part in (line_text(trace.agent_type), line_text(trace.agent)) if part)
    again = line_text(trace.retry_of)
    pairs: list[tuple[str, Line]] = [
        ("received", [(day_and_clock(trace.time), "")]),
        ("lane", [asker(trace.lane, trace.lane), (f"   {agent}" if agent else "", "muted")]),
        ("session", [(line_text(trace.session), "")] if trace.session else []),
        ("prompt id", [(line_text(trace.prompt_id), "muted")] if trace.prompt_id else []),
        ("model", [(model, ""), (other, "muted")]),
        ("backend", [(line_text(trace.backend), "")] if trace.backend else []),
        ("id", [(shorten(line_text(trace.id), room), "muted")]),
        ("repeats", [(shorten(again, room), f"muted {opens(again)}".strip())] if again else []),
    ]
    return label_rows(pairs, width, LABEL_CELLS)
