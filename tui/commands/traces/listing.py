"""`anyclaude-tui traces list` and `mark`: which traces there are, and which are to be kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from proxy.filters.language import parse_filter
from proxy.filters.terms import Field, Filter, FilterError, State, Term
from proxy.traces.files import id_in
from proxy.traces.index import MOST_ROWS, TraceIndex
from proxy.traces.listing.order import BY_TIME, SORTS, Order
from proxy.traces.marks import Mark, read_marks, remove_mark, set_mark
from proxy.traces.opened_index import asked_index
from proxy.traces.schema import TraceSummary
from tui.client.wire_text import line_text
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import terminal_columns, write_data
from tui.commands.traces.places import trace_file, traces_folder
from tui.commands.traces.trace_report import chosen_columns, list_table, summary_lines

EVERY = Filter()
MARKED = Term((State("marked"),))


def run_traces_list(
    invocation: Invocation,
    words: Sequence[str] = (),
    *,
    session: str,
    errors: bool,
    marked: bool,
    most: int,
    as_json: bool,
    sort: str = "time",
    reverse: bool = False,
    columns: str = "",
) -> int:
    """Print one line a trace that fits the filter, newest first or by a figure; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; the
        filter cannot be read.
    """
    wanted = read_filter(" ".join(words))
    names = chosen_columns(columns)
    try:
        order = Order.of(sort, reverse)
    except ValueError:
        known = f"--sort {sort}: the list is sorted by one of {', '.join(SORTS)}"
        raise CommandFailed(ExitCode.USAGE, line_text(known)) from None
    folder = traces_folder(invocation)
    marks = read_marks(folder)
    cells = terminal_columns()
    rows = list_traces(
        folder,
        wanted.also(MARKED) if marked else wanted,
        session=session,
        errors=errors,
        marked=marks,
        most=most,
        order=order,
    )
    if not rows:
        say(
            "there are no such traces" if wanted or session or errors or marked else "there are no traces yet"
        )
    if names and not as_json:
        write_data("".join(f"{line}\n" for line in list_table(rows, names, columns=cells) if rows))
        return ExitCode.FINE
    for row in rows:
        mark = marks.get(row.id)
        if as_json:
            fields = row.model_dump(exclude={"marked"})
            line = json.dumps(fields | {"mark": mark.model_dump() if mark else None})
        else:
            line = "\n".join(summary_lines(row, mark_text(mark), columns=cells))
        write_data(line + "\n")
    return ExitCode.FINE


def read_filter(query: str) -> Filter:
    """A filter from the command line.

    Raises:
        CommandFailed: it cannot be read; points at the place.
    """
    try:
        return parse_filter(query, now=time.time())
    except FilterError as error:
        pointer = " " * error.start + "^" * (error.end - error.start)
        raise CommandFailed(
            ExitCode.USAGE, f"the filter cannot be read: {error}\n  {line_text(query)}\n  {pointer}"
        ) from None


def list_traces(
    folder: Path,
    wanted: Filter = EVERY,
    *,
    session: str = "",
    errors: bool = False,
    marked: Iterable[str] = (),
    most: int = 20,
    order: Order = BY_TIME,
) -> list[TraceSummary]:
    """The first rows of the trace list that fit, the newest or those with the largest figure.

    Args:
        session: one, or its beginning.
        errors: only what failed, or called a tool that did.
        marked: the ids with a mark, for `is:marked`.
    """
    if session:
        wanted = wanted.also(Term((Field("session", (session.lower(),)),)))
    if errors:
        wanted = wanted.also(Term((State("failed"), State("cancelled"), State("toolerror"))))
    ids = list(marked)

    def chosen(index: TraceIndex) -> list[TraceSummary]:
        found: list[TraceSummary] = []
        while len(found) < most:
            limit = min(MOST_ROWS, most - len(found))
            page = index.page(limit=limit, offset=len(found), order=order, query=wanted, marked=ids).traces
            found += page
            if len(page) < limit:
                break
        return found

    return asked_index(folder, chosen, notice=say)


def mark_text(mark: Mark | None) -> str:
    """That a trace is marked, and why; empty where it is not."""
    return f"[marked] {line_text(mark.note)}".rstrip() if mark else ""


def run_traces_mark(
    invocation: Invocation, wanted: str, *, note: str, remove: bool, as_json: bool = False
) -> int:
    """Mark a trace, or take its mark off; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such trace.
        OSError: the mark cannot be written.
    """
    folder = traces_folder(invocation)
    gone = remove and wanted in read_marks(folder)  # at least the trace may be
    trace_id = wanted if gone else _id_of(folder, wanted)
    if not remove:
        set_mark(folder, trace_id, note)
        say(f"{trace_id} is marked: no prune removes it")
    elif remove_mark(folder, trace_id):
        say(f"the mark of {trace_id} is taken off")
    else:
        say(f"{trace_id} has no mark")
    if as_json:
        mark = read_marks(folder).get(trace_id)
        write_data(json.dumps({"id": trace_id, "mark": mark.model_dump() if mark else None}) + "\n")
    return ExitCode.FINE


def _id_of(folder: Path, wanted: str) -> str:
    """As its file's name has it: by that a prune looks for its mark."""
    named = id_in(trace_file(folder, wanted))
    if named is None:
        raise CommandFailed(ExitCode.USAGE, f"{wanted} is no trace of {folder}; traces list has their ids")
    trace_file(folder, named)
    return named
