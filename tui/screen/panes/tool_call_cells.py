"""Table cells of a tool call: its verdict, its result, and the steps from the model's text to the result."""

from __future__ import annotations

import re
from dataclasses import replace

from tui.client.figures import plural, seconds
from tui.client.records import ToolRecord
from tui.screen.calls.call_words import refusal
from tui.screen.styled_line import Line, Span

_EXIT_CODE = re.compile(
    r"Exit code (-?\d{1,3})\b"
)  # as Claude Code begins the result of a command that failed


def verdict(call: ToolRecord) -> Span:
    """Whether a call fits its schema, and what made it fit."""
    if call.repaired:
        return (f"✓ {plural(len(call.repairs), 'repair')}", "warn")
    if call.verdict == "valid":
        return ("✓ relaxed" if call.relaxed else "✓ grammar" if call.constrained else "✓ valid", "ok")
    return refusal(call.verdict) or (f"· {call.verdict.replace('_', ' ')}", "muted")


def result(call: ToolRecord) -> Span:
    """Whether the client sent a result, and whether it is an error; of a command its exit code."""
    if call.answered is None:
        return ("·" if call.verdict == "cut" else "…", "dim")  # of a truncated one none is to come
    if not call.is_error:
        return ("✓ ok", "ok")
    code = _EXIT_CODE.match(call.result)
    return (f"✗ exit {code[1]}" if code else "✗ error", "bad")


def call_steps(call: ToolRecord) -> Line:
    """The steps of a call on one line: text, parser, grammar, repairs, verdict, result."""
    verdict_text, verdict_style = verdict(replace(call, constrained=None, relaxed="", repaired=False))
    parser = call.family or ("the upstream" if call.raw else "")
    size = f"{call.raw_tokens:,} tokens" if call.raw_tokens else plural(len(call.raw), "character")
    grammar = "a relaxed grammar" if call.relaxed else "a grammar" if call.constrained else ""
    repairs = plural(len(call.repairs), "repair") if call.repairs else ""
    duration = f" {seconds(call.duration_s)}" if call.duration_s is not None else ""
    result_text, result_style = result(call)
    steps: list[Span] = [
        (size if call.raw else "", "muted"),
        (f"read by {parser}" if parser else "", "muted"),
        (f"constrained by {grammar}" if grammar else "", "warn" if call.relaxed else "ok"),
        (repairs, "warn"),
        (verdict_text, verdict_style),
        (result_text + duration if result_text != "·" else "", result_style),
    ]
    line: Line = []
    for text, style in steps:
        if text:
            line += [(" → ", "dim"), (text, style)] if line else [(text, style)]
    return line
