"""The replay of one stored tool call as text: each step with its name. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from engine.tool_calls.reading.pieces import CallArguments, CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.schemas.tools import parse_json
from proxy.events.tool_call import ToolCall
from proxy.traces.call_replay import CallReplay
from proxy.traces.schema import Trace
from tui.client.figures import plural, seconds
from tui.client.wire_text import block_text, line_text

LABEL_CELLS = 11


def call_report(trace: Trace, number: int, call: ToolCall, read: CallReplay) -> str:
    """Call `number` of a trace: raw text, parser, JSON, repairs, new and stored verdict, result."""
    lines = [
        f"{trace.id}  call {number} of {len(trace.tool_calls)}: {line_text(call.name)}  {line_text(call.id)}"
    ]
    for name, step in (
        ("raw", _raw(call)),
        ("read by", _read_by(call, read)),
        ("JSON", _json(read)),
        ("repairs", _repairs(read)),
        ("verdict", _verdict(read.verdict, read.detail)),
        ("stored", _stored(call, read)),
        ("result", _result(call)),
    ):
        for place, line in enumerate(step):
            lines.append(f"{name if place == 0 else '':<{LABEL_CELLS}}{line}".rstrip())
    return "\n".join(lines) + "\n"


def _raw(call: ToolCall) -> Iterator[str]:
    tokens = f", {plural(len(call.tokens), 'token')}" if call.tokens else ""
    yield plural(len(call.raw), "character") + tokens
    yield from _quoted(call.raw)


def _read_by(call: ToolCall, read: CallReplay) -> Iterator[str]:
    grammar = {True: ", constrained by a grammar", False: ", unconstrained", None: ""}[call.constrained]
    yield line_text(read.read_by) + grammar
    if call.relaxed:
        yield f"the grammar was relaxed: {line_text(call.relaxed)}"
    for piece in read.pieces:
        yield from _piece(piece)
    if not read.pieces and read.arguments is not None:
        yield f"name       {line_text(read.name)}"
        yield from _named("arguments", read.arguments)
    if read.broken:
        yield f"broken     {line_text(read.broken)}"


def _piece(piece: CallPiece) -> Iterator[str]:
    match piece:
        case CallBegin(name):
            yield f"name       {line_text(name)}"
        case CallArguments(text):
            yield from _named("arguments", text)
        case CallEnd():
            yield "end"
        case CallBroken(raw):
            yield from _named("no call", raw)


def _json(read: CallReplay) -> Iterator[str]:
    if read.arguments is None:
        yield "none"
        return
    try:
        parsed = parse_json(read.arguments) if read.arguments.strip() else {}
    except ValueError as error:
        yield f"broken: {line_text(str(error))}"
        return
    known = isinstance(parsed, dict)
    yield f"an object with {plural(len(parsed), 'key')}" if known else f"a {type(parsed).__name__}"


def _repairs(read: CallReplay) -> Iterator[str]:
    for number, repair in enumerate(read.repairs, 1):
        yield f"{number}  {line_text(repair)}"
    if read.unrepaired:
        yield f"failed: {line_text(read.unrepaired)}"
    elif not read.repairs:
        yield "none"


def _verdict(verdict: str, detail: str) -> Iterator[str]:
    yield verdict.replace("_", " ") + (f": {line_text(detail)}" if detail else "")


def _stored(call: ToolCall, read: CallReplay) -> Iterator[str]:
    repaired = f" after {plural(len(call.repairs), 'repair')}" if call.repairs else ""
    yield f"{call.verdict.replace('_', ' ')}{repaired}: {'agrees' if read.agrees else 'DISAGREES'}"
    yield from (f"{number}  {line_text(repair)}" for number, repair in enumerate(call.repairs, 1))
    yield from (line_text(reason) for reason in read.disagreements)


def _result(call: ToolCall) -> Iterator[str]:
    if call.is_error is None:
        yield "the client has not sent one"
        return
    took = f" after {seconds(call.duration_s)}" if call.duration_s is not None else ""
    yield f"{'error' if call.is_error else 'ok'}{took}"
    yield from _quoted(call.result or "")


def _named(name: str, text: str) -> Iterator[str]:
    first, *rest = block_text(text).split("\n")
    yield f"{name:<{LABEL_CELLS}}{first}"
    yield from (f"{'':<{LABEL_CELLS}}{line}" for line in rest)


def _quoted(text: str) -> Iterator[str]:
    if text:
        yield from (f"| {line}" for line in block_text(text).split("\n"))
