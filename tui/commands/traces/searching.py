"""`anyclaude-tui traces grep`."""

from __future__ import annotations

import json
from dataclasses import asdict

from proxy.traces.analysis.search import Found, search
from proxy.traces.opened_index import asked_index
from tui.client.figures import day_and_clock, plural
from tui.client.wire_text import line_text
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.traces.places import moment, traces_folder


def run_traces_grep(
    invocation: Invocation, text: str, *, session: str, since: str, most: int, as_json: bool
) -> int:
    """Print where a text occurs, a line a trace; returns the exit code, `FAILED` where it does not.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; the
        text is empty or a time is none.
    """
    begin = moment(since, "--since")
    try:
        result = asked_index(
            traces_folder(invocation),
            lambda index: search(index, text, session=session, since=begin, most=most),
            notice=say,
        )
    except ValueError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None
    if result.scanned:
        say("this Python's SQLite has no FTS5: all texts were read, which takes longer")
    for found in result.found:
        write_data((_as_json(found) if as_json else _line(found)) + "\n")
    if (more := result.total - len(result.found)) > 0:
        say(f"{plural(more, 'older trace')} with it not shown; -n {result.total} shows all")
    return ExitCode.FINE if result.total else ExitCode.FAILED


def _line(found: Found) -> str:
    row = found.summary
    # One line: spaces at the seams are kept, whatever the text around them is.
    before, match, after = (line_text(f"|{part}|")[1:-1] for part in (found.before, found.match, found.after))
    return f"{day_and_clock(row.time)}  {row.id}  {row.lane:<10}  {before}[{match}]{after}"


def _as_json(found: Found) -> str:
    place = asdict(found) | {"summary": None}
    del place["summary"]
    return json.dumps(found.summary.model_dump(exclude={"marked"}) | place)
