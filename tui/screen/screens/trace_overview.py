"""The first section of a trace: timings, tokens, cache, identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.events.causes import cause_of, end_of_cancelled
from proxy.traces.analysis.decode_speed import decode_speed
from tui.client.figures import count, day_and_clock, percent, plural, rate, ratio, seconds
from tui.client.wire_text import line_text, shorten
from tui.screen.charts import bar, shape
from tui.screen.panes.cache import REASON_LABELS, REASONS
from tui.screen.panes.request_cells import lane
from tui.screen.styled_line import Line, fit, label_rows
from tui.screen.widgets.collapsible_blocks import Block

if TYPE_CHECKING:
    from proxy.events.types import Timings
    from proxy.traces.schema import Trace

LABEL_CELLS = 16
LEAST_PREFILLED = 32  # tokens; fewer take the time of one step, which tells no speed


def overview(trace: Trace) -> list[Block]:
    """What went wrong, if anything did; timings, tokens, cache verdict and identity."""
    return [
        *_fault(trace),
        Block([("Timings", "bold")], lambda width: waterfall(trace, width), open=True),
        Block([("Tokens", "bold")], lambda width: tokens(trace, width), open=True),
        Block([("Cache", "bold")], lambda width: cache(trace, width), open=True),
        Block([("Request", "bold")], lambda width: identity(trace, width), open=True),
    ]


def _fault(trace: Trace) -> list[Block]:
    """Why the request has no whole answer."""
    answer = trace.response
    if answer.cancelled:
        how = "before its answer began" if trace.timings.first_token is None else "within its answer"
        cause = answer.error.cause if answer.error else ""
        return [Block([("⊘ ", "warn"), (f"Cancelled: {end_of_cancelled(cause)} {how}.", "warn")])]
    if answer.error is None:
        return []
    kind, message = line_text(answer.error.type), answer.error.message
    cause = line_text(answer.error.cause) or cause_of(kind, message)
    title: Line = [("✗ ", "bad"), (cause[:1].upper() + cause[1:], "bad bold")]
    return [Block(title, message or "(no message)", f"HTTP {answer.status}, {kind}", open=True)]


def steps(timings: Timings) -> list[tuple[str, float, float, str]]:
    """The phases of a request: name, start and end in seconds after its arrival, style."""
    marks = (
        (
            "waiting",
            timings.prefill_start if timings.prefill_start is not None else timings.queued,
            "neutral",
        ),
        ("prefill", timings.first_token, "prefill"),
        ("decode", timings.last_token, "decode"),
        ("finishing" if timings.last_token is not None else "no answer", timings.done, "neutral"),
    )
    found: list[tuple[str, float, float, str]] = []
    at = 0.0
    for name, end, style in marks:
        if end is not None and end >= at:
            found.append((name, at, end, style))
            at = end
    return found


def waterfall(trace: Trace, width: int) -> list[Line]:
    """One bar for each phase, at its position in the whole."""
    found = steps(trace.timings)
    if not found:
        return [[("no timings were recorded", "muted")]]
    whole = found[-1][2] or 1e-9
    cells = max(8, min(100, width - LABEL_CELLS - 18))
    lines: list[Line] = []
    for name, start, end, style in found:
        first = min(cells - 1, round(start / whole * cells))
        last = max(first + 1, round(end / whole * cells))
        lines.append(
            [
                (f"{name:<{LABEL_CELLS}}", "label"),
                (" " * first, ""),
                (shape(style) * (last - first), style),
                (" " * max(0, cells - last), ""),
                (f"  {seconds(end - start):>7}", style),
                (f"  {_share((end - start) / whole):>4}", "muted"),
            ]
        )
    summary: Line = [(f"{'':<{LABEL_CELLS}}", "")]
    if trace.timings.first_token is not None:
        summary += [("first token ", "muted"), (seconds(trace.timings.first_token), "bold"), (", ", "muted")]
    summary += [("total ", "muted"), (seconds(whole), "bold")]
    return [*lines, summary]


def _share(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else percent(share)


def tokens(trace: Trace, width: int) -> list[Line]:
    """The parts of the prompt in tokens, and the number and speed of the answer's tokens."""
    usage = trace.usage
    prompt = usage.prompt_tokens
    parts = [
        ("restored", usage.cache_read_input_tokens, "restored"),
        ("cached", usage.cache_creation_input_tokens, "prefill"),
        ("not kept", usage.input_tokens, "neutral"),
    ]
    cells = max(8, min(100, width - LABEL_CELLS - 18))
    shares = [(ratio(number, prompt) or 0.0, style) for _, number, style in parts]
    legend: Line = [(f"{'':<{LABEL_CELLS}}", "")]
    for name, number, style in parts:
        legend += [(f"{name} {number:,}", style), ("  ", "")]
    timings = trace.timings
    decode = decode_speed(timings, usage.output_tokens)
    speed = rate(decode) if decode else ""
    prefill = (timings.first_token or 0) - (timings.prefill_start or timings.queued or 0)
    prefilled = prompt - usage.cache_read_input_tokens
    prefill_speed = rate(prefilled / prefill) if prefill > 0 and prefilled >= LEAST_PREFILLED else ""
    answer: Line = [(f"{'answer':<{LABEL_CELLS}}", "label"), (f"{usage.output_tokens:,} tokens", "decode")]
    answer.append((f"   decode {speed} tokens/s" if speed else "", "muted"))
    answer.append((f"   prefill {prefill_speed} tokens/s" if prefill_speed else "", "muted"))
    return [
        [(f"{'prompt':<{LABEL_CELLS}}", "label"), *bar(shares, cells), (f"  {count(prompt):>7}", "bold")],
        fit(legend, width),
        answer,
    ]


def cache(trace: Trace, width: int) -> list[Line]:
    """The tokens that the prefix cache restored and kept, and the reason for a miss."""
    verdict = trace.cache
    if verdict is None:
        return [[("the backend reports no cache", "muted")]]
    miss = verdict.miss
    where: Line = [(f"{verdict.matched_tokens:,} of {verdict.prompt_tokens:,} tokens", "restored")]
    took = f" in {seconds(verdict.restore_s)}" if verdict.restore_s else ""
    where.append((f"   from {verdict.tier}{took}" if verdict.matched_tokens else "", "muted"))
    cached: Line = [(f"{plural(verdict.kept_tokens, 'token')} kept for later prompts", "")]
    pairs: list[tuple[str, Line]] = [("restored", where), ("cached", cached)]
    if miss is not None:
        at = f" at token {miss.position:,}" if miss.reason == "diverged" else ""
        at += f", in {line_text(miss.segment)}" if at and miss.segment else ""
        pairs.append(
            (
                "miss",
                [
                    (f"{REASON_LABELS.get(miss.reason, miss.reason)}{at}", "warn"),
                    (f": {REASONS.get(miss.reason, '')}", "muted"),
                ],
            )
        )
        room = width - LABEL_CELLS
        pairs.append(("stored", [(shorten(line_text(miss.before), room), "bad")] if miss.before else []))
        pairs.append(("now", [(shorten(line_text(miss.now), room), "ok")] if miss.now else []))
    return label_rows(pairs, width, LABEL_CELLS)


def identity(trace: Trace, width: int) -> list[Line]:
    """Session, lane, model and ids."""
    room = width - LABEL_CELLS
    upstream = f"   as {line_text(trace.upstream_model)}" if trace.upstream_model else ""
    agent = "  ".join(part for part in (line_text(trace.agent_type), line_text(trace.agent)) if part)
    calls = plural(len(trace.tool_calls), "tool call") if trace.tool_calls else ""
    pairs: list[tuple[str, Line]] = [
        ("received", [(day_and_clock(trace.time), "")]),
        ("lane", [lane(trace.lane), (f"   {agent}" if agent else "", "muted")]),
        ("session", [(line_text(trace.session), "")] if trace.session else []),
        ("prompt id", [(line_text(trace.prompt_id), "muted")] if trace.prompt_id else []),
        ("model", [(line_text(trace.model), ""), (upstream, "muted")]),
        ("backend", [(line_text(trace.backend), "")] if trace.backend else []),
        ("calls", [(calls, "tool")] if calls else []),
        ("id", [(shorten(line_text(trace.id), room), "muted")]),
        ("repeats", [(shorten(line_text(trace.retry_of), room), "muted")] if trace.retry_of else []),
    ]
    return label_rows(pairs, width, LABEL_CELLS)
