"""`anyclaude-tui traces`: the traces on disk, with or without a host that runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from proxy.events.tool_call import ToolCall
from proxy.traces.call_replay import CallReplay, offered_tools, replay
from proxy.traces.files import TRACES_FOLDER, id_in, trace_files
from proxy.traces.index import MOST_ROWS
from proxy.traces.opened_index import opened_index
from proxy.traces.reading import TraceError, TraceNotFound, find_trace, read_trace
from proxy.traces.schema import Trace, TraceSummary
from tui.commands.call_report import call_report
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.trace_report import summary_line, trace_report

_NEAREST = 3


def run_traces_list(invocation: Invocation, *, session: str, errors: bool, most: int, as_json: bool) -> int:
    """Print one line a trace, newest first; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`.
    """
    rows = list_traces(_folder(invocation), session=session, errors=errors, most=most)
    lines = [row.model_dump_json() if as_json else summary_line(row) for row in rows]
    write_data("".join(line + "\n" for line in lines))
    return ExitCode.FINE


def list_traces(
    folder: Path, *, session: str = "", errors: bool = False, most: int = 20
) -> list[TraceSummary]:
    """The newest rows of the trace list; `session` is one or its beginning, `errors`: only what failed."""
    with opened_index(folder, notice=say) as index:
        found: list[TraceSummary] = []
        before = ""
        while len(found) < most:
            page = index.page(limit=MOST_ROWS, before=before, query=session).traces
            found += [
                row
                for row in page
                if row.session.startswith(session) and (not errors or row.error or row.tool_errors)
            ]
            if len(page) < MOST_ROWS:
                break
            before = page[-1].id
        return found[:most]


def run_traces_show(invocation: Invocation, wanted: str, *, tool: int | None, as_json: bool) -> int:
    """Print one trace, or how call number `tool` of it is read step by step; returns the exit code.

    It is `FAILED` where the call is read otherwise than it was then.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such trace or
            call.
    """
    trace = open_trace(_folder(invocation), wanted)
    if tool is None:
        write_data(trace.model_dump_json(indent=2) + "\n" if as_json else trace_report(trace))
        return ExitCode.FINE
    call = _call(trace, tool)
    read = replay(call, offered_tools(trace).schemas)
    if as_json:
        write_data(json.dumps(_as_json(trace, call, read), indent=2, ensure_ascii=False) + "\n")
    else:
        write_data(call_report(trace, tool, call, read))
    return ExitCode.FINE if read.agrees else ExitCode.FAILED


def open_trace(folder: Path, wanted: str) -> Trace:
    """The trace of an id, of the beginning of one, or in a file.

    Raises:
        CommandFailed: there is none; the message names the nearest.
    """
    file = Path(wanted).expanduser()
    try:
        if file.suffix == ".json" or len(file.parts) > 1:
            return read_trace(file)
        return read_trace(find_trace(folder, wanted))
    except TraceNotFound as error:
        raise CommandFailed(ExitCode.USAGE, f"{error}{_nearest(folder, wanted)}") from None
    except TraceError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None


def _nearest(folder: Path, wanted: str) -> str:
    ids = [found for path in trace_files(folder) if (found := id_in(path))]
    if any(found.startswith(wanted) for found in ids):
        return ""  # the error names them
    near = get_close_matches(wanted, ids, _NEAREST, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; the newest are {', '.join(ids[:_NEAREST])}" if ids else "; there are no traces yet"


def _call(trace: Trace, number: int) -> ToolCall:
    calls = trace.tool_calls
    if 1 <= number <= len(calls):
        return calls[number - 1]
    if not calls:
        raise CommandFailed(ExitCode.USAGE, f"the answer of {trace.id} made no tool call")
    names = ", ".join(f"{place} {call.name}" for place, call in enumerate(calls, 1))
    raise CommandFailed(ExitCode.USAGE, f"{trace.id} has no call number {number}; its calls are {names}")


def _folder(invocation: Invocation) -> Path:
    return invocation.settle().config.home / TRACES_FOLDER


def _as_json(trace: Trace, call: ToolCall, read: CallReplay) -> dict[str, Any]:
    pieces = [{"piece": type(piece).__name__, **asdict(piece)} for piece in read.pieces]
    return {
        "trace": trace.id,
        "stored": call.model_dump(),
        "read": {**asdict(read), "pieces": pieces},
        "agrees": read.agrees,
    }
