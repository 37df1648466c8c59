"""`anyclaude-tui traces export`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

from engine.process.private_files import DRAFT_SUFFIX, open_private
from proxy.traces.export.exporting import FORMATS, ExportFormat, export
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.marks import read_marks
from proxy.traces.reading import TraceError, read_trace
from proxy.traces.redact import Redactor
from proxy.traces.schema import Trace
from tui.client.figures import plural
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.traces.listing import list_traces
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
) -> int:
    """Write the chosen traces, oldest first; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; no
        such format, time or trace.
        OSError: the file cannot be written; one that was there before stays.
    """
    if form not in FORMATS:
        raise CommandFailed(ExitCode.USAGE, f"--format is {form!r}; allowed: {', '.join(FORMATS)}")
    begin = moment(since, "--since")
    config = invocation.settle().config
    folder = config.home / TRACES_FOLDER
    if ids:
        chosen: Iterator[Trace] = (open_trace(folder, wanted) for wanted in ids)
    else:
        only = set(read_marks(folder)) if marked else None
        rows = list_traces(folder, session=session, only=only, most=_ALL)
        paths = [folder / row.path for row in reversed(rows) if row.time >= begin]
        say(f"{plural(len(paths), 'trace')}")
        chosen = _readable(paths)
    pieces = export(
        chosen,
        cast(ExportFormat, form),
        version=version("anyclaude-tui"),
        redactor=Redactor((config.token, config.backend_key)),
        contents=not redact,
    )
    if output:
        _write(Path(output).expanduser(), pieces)
    else:
        for piece in pieces:
            write_data(piece)
    return ExitCode.FINE


def _readable(paths: Sequence[Path]) -> Iterator[Trace]:
    for path in paths:
        try:
            yield read_trace(path)
        except TraceError as error:
            say(f"left out: {error}")


def _write(path: Path, pieces: Iterator[str]) -> None:
    if path.exists() and not path.is_file():  # /dev/null, a pipe: nothing that a file could take the place of
        with path.open("wb") as sink:
            sink.writelines(piece.encode() for piece in pieces)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}{DRAFT_SUFFIX}")
    try:
        with open_private(draft, "wb") as file:
            for piece in pieces:
                file.write(piece.encode())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
