"""`anyclaude-tui traces export`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

from engine.process.private_files import draft_of, naming, open_private
from proxy.configuration.file import expand_home
from proxy.filters.terms import Term, Time
from proxy.traces.export.exporting import FORMATS, LOCAL_HOST, ExportFormat, export
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.marks import read_marks
from proxy.traces.reading import TraceError, read_trace
from proxy.traces.redaction.redact import Redactor
from proxy.traces.schema import Trace
from tui.client.figures import plural
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.traces.listing import EVERY, MARKED, list_traces
from tui.commands.traces.places import moment, open_trace

_ALL = 1 << 40


def run_traces_export(
    invocation: Invocation,
    ids: Sequence[str],
    *,
    form: str,
    output: str,
    redact: bool,
    session: str,
    since: str,
    marked: bool,
    as_json: bool = False,
) -> int:
    """Write the chosen traces, oldest first; returns the exit code. `as_json`: print what was written.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such format, time or trace.
        OSError: the file cannot be written; one that was there before stays.
    """
    if form not in FORMATS:
        raise CommandFailed(ExitCode.USAGE, f"--format is {form!r}; allowed: {', '.join(FORMATS)}")
    if as_json and not output:
        raise CommandFailed(
            ExitCode.USAGE,
            "--json prints what was written to the file of -o; without -o stdout has the document itself",
        )
    begin = moment(since, "--since")
    config = invocation.settle().config
    folder = config.home / TRACES_FOLDER
    left_out: list[str] = []
    written: list[str] = []
    if ids:
        chosen: Iterator[Trace] = (open_trace(folder, one) for one in ids)
    else:
        wanted = EVERY.also(Term((Time("since", begin),)), *([MARKED] if marked else []))
        rows = list_traces(folder, wanted, session=session, marked=read_marks(folder), most=_ALL)
        paths = [folder / row.path for row in reversed(rows)]
        say(f"{plural(len(paths), 'trace')}")
        chosen = _readable(paths, left_out)
    pieces = export(
        _noted(chosen, written),
        cast(ExportFormat, form),
        version=version("anyclaude-tui"),
        redactor=Redactor((config.token, config.backend_key)),
        contents=not redact,
        url=f"http://127.0.0.1:{config.port}" if config.port else LOCAL_HOST,
    )
    if output:
        path = expand_home(output, Path.home())
        _write(path, pieces)
        if as_json:
            record = {"file": str(path), "format": form, "traces": written, "left_out": left_out}
            write_data(json.dumps(record) + "\n")
    else:
        for piece in pieces:
            write_data(piece)
    return ExitCode.FINE


def _noted(traces: Iterable[Trace], ids: list[str]) -> Iterator[Trace]:
    for trace in traces:
        ids.append(trace.id)
        yield trace


def _readable(paths: Sequence[Path], left_out: list[str]) -> Iterator[Trace]:
    for path in paths:
        try:
            yield read_trace(path)
        except TraceError as error:
            say(f"left out: {error}")
            left_out.append(str(error))


def _write(path: Path, pieces: Iterator[str]) -> None:
    if path.exists() and not path.is_file():  # /dev/null, a pipe: nothing that a file could take the place of
        with path.open("wb") as sink:
            sink.writelines(piece.encode() for piece in pieces)
        return
    draft = draft_of(path)
    with naming(path):
        try:
            with open_private(draft, "wb") as file:
                for piece in pieces:
                    file.write(piece.encode())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
