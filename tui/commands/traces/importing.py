"""`anyclaude-tui traces import`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.configuration.file import expand_home
from proxy.traces.files import TRACES_FOLDER, id_in, trace_files, trace_path
from proxy.traces.importing import imported_trace
from proxy.traces.marks import set_mark
from proxy.traces.opened_index import opened_index
from proxy.traces.reading import TraceDamaged
from proxy.traces.redaction.redact import Redactor
from proxy.traces.retention import DAY_S
from tui.client.figures import plural
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data


def run_traces_import(invocation: Invocation, paths: Sequence[str], *, mark: bool, as_json: bool) -> int:
    """Write a trace for each file of an earlier version; returns the exit code, `FAILED` where one was none.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; a
        path is not there.
        OSError: a file cannot be read, or a trace cannot be written.
    """
    config = invocation.settle().config
    folder = config.home / TRACES_FOLDER
    redactor = Redactor((config.token, config.backend_key))
    known = {id_in(path) for path in trace_files(folder)}
    taken: list[str] = []
    refused: list[str] = []
    there = old = 0
    oldest = time.time() - config.trace_max_days * DAY_S
    for file in _files(paths):
        if id_in(file):
            continue  # a trace of this version
        try:
            trace = imported_trace(file.read_bytes(), str(file), redactor)
        except TraceDamaged as error:
            refused.append(str(error))
            continue
        except OSError as error:
            refused.append(f"{file} cannot be read: {error.strerror or error}")
            continue
        if mark:
            set_mark(folder, trace.id, "imported")
        if trace.id in known:
            there += 1
            continue
        known.add(trace.id)
        path = folder / trace_path(trace.backend, trace.time, trace.id)
        write_private(path, encode_json(trace.model_dump()))
        taken.append(trace.id)
        old += bool(config.trace_max_days and trace.time < oldest)
    for line in refused:
        say(f"left out: {line}")
    with opened_index(folder, notice=say):
        pass  # they are in the lists at once
    if as_json:
        write_data(json.dumps({"imported": taken, "already_there": there, "refused": refused}) + "\n")
    say(f"{plural(len(taken), 'trace')} imported, {there:,} were there already, {len(refused):,} left out")
    if old and not mark:
        say(
            f"{old:,} of them are older than {config.trace_max_days} days, which the host removes; to keep"
            " them run this again with --mark, or set traceMaxDays"
        )
    return ExitCode.FAILED if refused else ExitCode.FINE


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for given in paths:
        path = expand_home(given, Path.home())
        if path.is_dir():
            # A pipe would never end, and what begins with a dot is ours: marks and drafts.
            found = (file for file in path.rglob("*.json") if file.is_file())
            yield from sorted(
                file for file in found if not any(part[0] == "." for part in file.relative_to(path).parts)
            )
        elif path.exists():
            yield path
        else:
            raise CommandFailed(ExitCode.USAGE, f"{path} is not there")
