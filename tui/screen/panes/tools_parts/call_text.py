"""One tool call in full, as pieces of text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.anthropic.tool_results import LONGEST_RESULT
from tui.client.figures import day_and_clock, seconds, size
from tui.client.records import ToolRecord
from tui.client.wire_text import block_text, line_text
from tui.screen.calls.call_lines import argument_lines
from tui.screen.panes.tool_call_cells import call_steps, verdict
from tui.screen.reading.readable import Readable, result_to_read
from tui.screen.styled_line import joined_lines
from tui.screen.trace_list.listed_calls import in_full

if TYPE_CHECKING:
    from proxy.traces.schema import Trace


_LONGEST_NOTE = 200  # characters, which a trace puts behind a result that it truncated


def whole_call(call: ToolRecord, trace: Trace | None) -> str:
    """The call as text with its ids, and with all of its result that its trace has."""
    ids = f"{call.name or '?'} {call.id}, {day_and_clock(call.time)}\nrequest {call.request}"
    known = in_full(call, trace, LONGEST_RESULT) if trace is not None else call
    text = "".join(part for part, _ in call_pieces(known))
    missing = known.result_bytes - len(known.result.encode("utf-8", "replace"))
    if missing > 0:
        text += (
            f"\n\n… {size(missing)} more: a trace keeps the beginning; the session's next turn has all of it"
        )
    return f"{ids}\nsession {call.session or '?'}\n\n{text}\n"


def result_at_length(call: ToolRecord, trace: Trace | None) -> Readable | None:
    """The result of a call, as much as its trace has; None: there is none."""
    known = in_full(call, trace, LONGEST_RESULT + _LONGEST_NOTE) if trace is not None else call
    if not known.result.strip():  # it came a moment ago
        known = call
    text = block_text(known.result)
    if not text.strip():
        return None
    name = f"result of {line_text(f'{known.name} {known.arguments}', 60)}"
    readable = replace(result_to_read(known.name, known.input, text), name=name)
    if known is call and call.result_bytes > len(call.result.encode("utf-8", "replace")):
        return replace(readable, note=f"the beginning of {size(call.result_bytes)}: its trace is not here")
    return readable


def call_pieces(call: ToolRecord) -> list[tuple[str, str]]:
    """One call in full: its steps, then the details of each step."""
    pieces = list(call_steps(call))
    if call.detail:
        pieces.append((f"\n{call.detail}", verdict(call)[1]))
    if call.relaxed:
        pieces += [("\n\nNot covered by the grammar\n", "label"), (call.relaxed, "warn")]
    if call.repairs:
        repairs = "\n".join(f"{number}  {text}" for number, text in enumerate(call.repairs, 1))
        title, style = ("Repairs", "warn") if call.repaired else ("Repairs that were not enough", "bad")
        pieces += [(f"\n\n{title}\n", "label"), (repairs, style)]
    raw = [("\n\nAs the model wrote it\n", "label"), (call.raw, "muted")] if call.raw else []
    if call.input is None:
        pieces += raw
    else:
        lines = argument_lines(call.name, call.input)
        shown = argument_pieces(call.input) if lines is None else joined_lines(lines)
        pieces += [("\n\nArguments\n", "label"), *shown]
    pieces += _result_pieces(call)
    return pieces if call.input is None else pieces + raw


def _result_pieces(call: ToolRecord) -> list[tuple[str, str]]:
    if call.answered is None:
        return [("\n\nThe client has not sent a result yet.", "dim")]
    took = f" after {seconds(call.duration_s)}" if call.duration_s is not None else ""
    label = f"\n\n{'Error' if call.is_error else 'Result'}{took}, {size(call.result_bytes)}\n"
    return [(label, "bad" if call.is_error else "label"), (call.result or "(empty)", "")]


def argument_pieces(arguments: object) -> list[tuple[str, str]]:
    """Arguments by name: strings with their line breaks, other values as JSON."""
    if not isinstance(arguments, dict):
        return [(json.dumps(arguments, indent=2, ensure_ascii=False, default=str), "")]
    pieces: list[tuple[str, str]] = []
    for number, (name, value) in enumerate(arguments.items()):
        shown = (
            value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
        )
        pieces.append(("\n" if number else "", ""))
        pieces.append((line_text(str(name), 80), "tool"))
        pieces.append(("\n" + shown if "\n" in shown else "  " + shown, ""))
    return pieces
