"""`anyclaude-tui traces show`: one trace, short, whole or raw, or one of its tool calls read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Literal

from engine.wire.json_text import encode_json
from proxy.events.tool_call import ToolCall
from proxy.traces.call_replay import CallReplay, offered_tools, replay
from proxy.traces.marks import read_marks
from proxy.traces.reading import trace_content
from proxy.traces.schema import Trace
from tui.client.wire_text import line_text
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.output import terminal_columns, write_data
from tui.commands.traces.call_report import call_report
from tui.commands.traces.listing import mark_text
from tui.commands.traces.places import open_trace, trace_file, traces_folder
from tui.commands.traces.trace_detail import trace_detail
from tui.commands.traces.trace_report import trace_report

Form = Literal["short", "detail", "json", "raw"]


def run_traces_show(invocation: Invocation, wanted: str, *, tool: int | None, form: Form) -> int:
    """Print one trace, or how call number `tool` of it is read step by step; returns the exit code.

    It is `FAILED` where the call is read otherwise than it was then.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such trace or call.
        OSError: the file cannot be read.
    """
    folder = traces_folder(invocation)
    if form == "raw" and tool is None:
        write_data(trace_content(trace_file(folder, wanted)).decode("utf-8", "replace").rstrip("\n") + "\n")
        return ExitCode.FINE
    trace = open_trace(folder, wanted)
    if tool is None:
        write_data(_whole(trace, form, mark_text(read_marks(folder).get(trace.id))))
        return ExitCode.FINE
    call = _call(trace, tool)
    read = replay(call, offered_tools(trace).schemas)
    if form == "json":
        write_data(json.dumps(_as_json(trace, call, read), indent=2, ensure_ascii=False) + "\n")
    elif form == "raw":
        write_data(call.raw + "\n")
    else:
        write_data(call_report(trace, tool, call, read))
    return ExitCode.FINE if read.agrees else ExitCode.FAILED


def _whole(trace: Trace, form: Form, mark: str) -> str:
    match form:
        case "json":
            document = json.loads(encode_json(trace.model_dump()))  # pydantic writes no more than 255 levels
            return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        case "detail":
            return trace_report(trace, mark, columns=terminal_columns()) + trace_detail(trace)
        case _:
            return trace_report(trace, mark, columns=terminal_columns())


def _call(trace: Trace, number: int) -> ToolCall:
    calls = trace.tool_calls
    if 1 <= number <= len(calls):
        return calls[number - 1]
    if not calls:
        raise CommandFailed(ExitCode.USAGE, f"the answer of {trace.id} made no tool call")
    names = ", ".join(f"{place} {line_text(call.name)}" for place, call in enumerate(calls, 1))
    raise CommandFailed(ExitCode.USAGE, f"{trace.id} has no call number {number}; its calls are {names}")


def _as_json(trace: Trace, call: ToolCall, read: CallReplay) -> dict[str, Any]:
    pieces = [{"piece": type(piece).__name__, **asdict(piece)} for piece in read.pieces]
    return {
        "trace": trace.id,
        "stored": call.model_dump(),
        "read": {**asdict(read), "pieces": pieces},
        "agrees": read.agrees,
    }
