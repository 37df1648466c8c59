"""The chosen trace below the list: its question, phases, prompt, and calls or answer. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.configuration.known_backends import backend_kind
from proxy.filters.matching import file_of
from tui.client.figures import clock, count, plural, seconds
from tui.client.wire_text import block_text, line_text, shorten, shorten_middle, wrap
from tui.screen.calls.call_words import refusal
from tui.screen.charts import bar, shape
from tui.screen.keymap import key_of
from tui.screen.panes.request_cells import session
from tui.screen.panes.tools_parts.call_text import argument_pieces
from tui.screen.styled_line import Line, fit, line_width
from tui.screen.trace_list.columns import CLIENT_CLOSED_REQUEST, day_name, did_line, who

if TYPE_CHECKING:
    from proxy.events.tool_call import ToolCall
    from proxy.traces.schema import Trace, TraceSummary

INDENT = "   "
_PHASE_CELLS = 24  # of all bars of phases together
_CALL_LINES, _RESULT_LINES = 6, 3
_MOST_TEXT = 100_000  # characters of an argument


def detail_keys() -> Line:
    """The keys that lead on from the trace."""
    wanted = (("traces.open", " open  "), ("main.why", " why  "), ("main.diff", " diff"))
    return [span for id_, word in wanted for span in ((key_of(id_), "accent"), (word, "dim"))]


def detail_title(row: TraceSummary, now: float) -> Line:
    """When it was received, and of whom."""
    title: Line = [(f"{day_name(row.time, now)} {clock(row.time)}", "bold"), ("  ", "")]
    return [*title, session(line_text(row.session)), (" ", ""), *who(row, 24)]


def detail_lines(row: TraceSummary, trace: Trace | None, width: int, height: int) -> list[Line]:
    """At most `height` lines; what only the trace knows is left out until it is there."""
    room = max(8, width - 2 * len(INDENT))
    lines: list[Line] = []
    if row.preview:
        lines.append([(INDENT + "› ", "dim"), (shorten(line_text(row.preview), room - 2), "")])
    times, tokens = phases(row, trace), prompt_parts(row, trace)
    if line_width(times) + line_width(tokens) + 3 <= room:
        lines.append([(INDENT, ""), *times, ("   ", ""), *tokens])
    else:
        lines += [[(INDENT, ""), *times], [(INDENT, ""), *tokens]]
    lines.append([])
    if row.error or row.status >= 400:
        sign, style = ("⊘ ", "warn") if row.status == CLIENT_CLOSED_REQUEST else ("✗ ", "bad")
        words = line_text(row.cause) or f"HTTP {row.status}"
        lines.append([(INDENT + sign, style), (words, style)])
        lines += [[(INDENT + "  " + part, "muted")] for part in wrap(line_text(row.error), room - 2)[:3]]
    if trace is None:
        did = did_line(row)
        lines += [[(INDENT, ""), *did]] if did else []
    else:
        lines += _calls(trace, room, height - len(lines)) or _answer(trace, room)
    lines = [fit(line, width - len(INDENT)) for line in lines]
    if len(lines) > height:
        lines[height - 1 :] = [[(f"{INDENT}… {key_of('traces.open')} opens it", "dim")]]
    return lines


def phases(row: TraceSummary, trace: Trace | None) -> Line:
    """Waiting, prefill and decode with bars in proportion; without the trace the two that are known.

    Another server does not say when it reads a prompt: all until its first token is its time.
    """
    reads = "prefill" if backend_kind(row.backend) == "mlx" else "upstream"
    ends: list[tuple[str, float | None, str]] = [
        (reads, row.ttft_s, "prefill"),
        ("decode", row.duration_s, "decode")
        if row.ttft_s is not None
        else ("took", row.duration_s, "neutral"),
    ]
    if trace is not None:
        from proxy.traces.analysis.why import phases_of

        times = trace.timings
        # The proxy hears of short prefills with their first token: the engine's own times decide, as in Why.
        reading = [one for one in phases_of(trace) if one.name in ("prefill", "upstream")]
        begun = times.prefill_start if times.prefill_start is not None else times.queued
        begun, reads = (reading[0].start, reading[0].name) if reading else (begun, reads)
        if times.first_token is not None:
            ends = [(reads, times.first_token, "prefill"), ("decode", times.last_token, "decode")]
        elif begun is not None:  # its end came before its answer
            ends = [(reads, times.done, "prefill")]
        ends.insert(0, ("waiting", begun or None, "neutral"))
    whole = max((end for _, end, _ in ends if end is not None), default=0.0)
    line: Line = []
    at = 0.0
    for name, end, style in ends:
        if end is None or end < at:
            continue
        cells = max(1, round((end - at) / (whole or 1.0) * _PHASE_CELLS))
        line += [("   " if line else "", ""), (f"{name} ", "label"), (_shape(name, style) * cells, style)]
        line.append((f" {seconds(end - at)}", style))
        at = end
    return line or [("no timings", "muted")]


def _shape(phase: str, style: str) -> str:
    """That of the phase in Why, where it has the phase."""
    from tui.screen.trace_detail.phase_looks import PHASE_LOOKS  # not before the first frame

    return next((sign for name, (sign, _) in PHASE_LOOKS.items() if name == phase), shape(style))


def prompt_parts(row: TraceSummary, trace: Trace | None = None) -> Line:
    """`12.7k prompt = 12.3k restored █ + 0.4k prefilled ▒` with its bar, as far as its server tells that.

    Of one that ended before its answer only the trace knows how far its prompt was read.
    """
    usage = row.usage
    prompt, restored = usage.prompt_tokens, usage.cache_read_input_tokens
    if not prompt:
        return []
    line: Line = [(f"{count(prompt)} prompt", "")]
    if restored or row.backend == "mlx":
        told = trace.cache.reached_tokens if trace is not None and trace.cache is not None else None
        reached = prompt if told is None else told
        shares = (restored / prompt, "restored"), ((reached - restored) / prompt, "prefill")
        line = [*bar(shares, 12), (" ", ""), *line]
        line += [(" = ", "dim"), (f"{count(restored)} restored █", "restored")]
        line += [(" + ", "dim"), (f"{count(reached - restored)} prefilled ▒", "prefill")]
        if reached < prompt:
            line += [(" + ", "dim"), (f"{count(prompt - reached)} not reached ░", "muted")]
    if usage.output_tokens:
        line += [("   ", ""), (f"{count(usage.output_tokens)} out", "decode")]
    return line


def _calls(trace: Trace, room: int, height: int) -> list[Line]:
    lines: list[Line] = []
    each = max(1, min(_CALL_LINES, (height - len(trace.tool_calls)) // max(1, len(trace.tool_calls))))
    for call in trace.tool_calls:
        head: Line = [(INDENT + "▸ ", "tool"), (line_text(call.name, 80) or "?", "tool bold")]
        if file := line_text(file_of(call.input)):
            head += [("  ", ""), (shorten_middle(file, max(8, room - 50)), "")]
        lines.append([*head, *_outcome(call)])
        lines += _body(call, room, each)
    return lines


def _outcome(call: ToolCall) -> Line:
    line: Line = []
    if refused := refusal(call.verdict):
        line = [("   ", ""), refused]
    elif call.repairs:
        line = [("   ✓ ", "warn"), (f"fits after {plural(len(call.repairs), 'repair')}", "warn")]
    elif call.verdict == "valid":
        line = [("   ✓ ", "ok"), ("fits its schema", "muted")]
    if call.is_error is not None:
        sign, style = ("✗ failed", "bad") if call.is_error else ("✓ ok", "ok")
        took = f" {seconds(call.duration_s)}" if call.duration_s is not None else ""
        line += [("   ", ""), (sign, style), (took, "muted")]
    return line


def _body(call: ToolCall, room: int, most: int) -> list[Line]:
    """What the call does, and of one that failed how its result begins."""
    lines = [(f"{sign}{line}", style) for sign, text, style in _deeds(call) for line in _lines(text)]
    shown: list[Line] = [[(f"{INDENT}  {shorten(line, room - 2)}", style)] for line, style in lines[:most]]
    if len(lines) > most:
        shown[-1] = [(f"{INDENT}  … {len(lines) - most + 1:,} more lines", "dim")]
    if call.is_error and call.result:
        failed = _lines(call.result.strip())[:_RESULT_LINES]
        shown += [[(f"{INDENT}  {shorten(line, room - 2)}", "bad")] for line in failed]
    return shown


def _deeds(call: ToolCall) -> list[tuple[str, str, str]]:
    """Texts with the sign and the style of their lines: a command, a file, a change, else arguments."""
    match call.input:
        case {"command": str(command)}:
            return [("$ ", command, "")]
        case {"content": str(content)}:
            return [("+ ", content, "ok")]
        case {"old_string": str(old), "new_string": str(new)}:
            return [("- ", old, "bad"), ("+ ", new, "ok")]
        case None:
            return [("", call.raw, "muted")]
        case arguments:
            rest = {name: value for name, value in arguments.items() if value != file_of(arguments)}
            return [("", "".join(part for part, _ in argument_pieces(rest)), "")]


def _lines(text: str) -> list[str]:
    return block_text(text[:_MOST_TEXT]).strip("\n").split("\n") if text.strip() else []


def _answer(trace: Trace, room: int) -> list[Line]:
    content = (trace.response.message or {}).get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and isinstance(text := block.get("text"), str) and text.strip():
            head = block_text(text[:4000]).strip()
            return [[(INDENT + line, "")] for part in head.split("\n") for line in wrap(part, room) or [""]]
    return []
