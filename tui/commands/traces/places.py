"""Where the traces of an invocation lie, and which of them is meant."""

from __future__ import annotations

import re
import time
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from proxy.configuration.file import expand_home
from proxy.traces.files import TRACES_FOLDER, id_in, trace_files
from proxy.traces.reading import TraceError, TraceNotFound, find_trace, read_trace
from proxy.traces.schema import Trace
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation

_NEAREST = 3
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def traces_folder(invocation: Invocation) -> Path:
    """The folder of all traces.

    Raises:
        proxy.configuration.settled.ConfigError, CommandFailed: see `Invocation`.
    """
    return invocation.settle().config.home / TRACES_FOLDER


def open_trace(folder: Path, wanted: str) -> Trace:
    """The trace of an id, of the beginning of one, or in a file.

    Raises:
        CommandFailed: there is none; the message names the nearest.
    """
    return _read(trace_file(folder, wanted))


def is_trace(wanted: str) -> bool:
    """Whether this means a trace, by its id or its file, and not a session."""
    return wanted.startswith("req_") or wanted.endswith(".json") or "/" in wanted


def trace_file(folder: Path, wanted: str) -> Path:
    """The file of that trace.

    Raises:
        CommandFailed: there is none; the message names the nearest.
    """
    file = expand_home(wanted, Path.home())
    if file.suffix == ".json" or len(file.parts) > 1:
        return file
    try:
        return find_trace(folder, wanted)
    except TraceNotFound as error:
        raise CommandFailed(ExitCode.USAGE, f"{error}{_nearest(folder, wanted)}") from None


def _read(file: Path) -> Trace:
    try:
        return read_trace(file)
    except TraceError as error:
        raise CommandFailed(ExitCode.USAGE, str(error)) from None


def moment(text: str, option: str) -> float:
    """Epoch seconds of `7d`, `12h`, `30m` or `2w` before now, or of a local date or time in ISO form.

    Raises:
        CommandFailed: it is neither.
    """
    if not text:
        return 0.0
    if found := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return time.time() - int(found[1]) * _UNITS[found[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise CommandFailed(
            ExitCode.USAGE,
            f"{option} is {text!r}; allowed: a time before now such as 90m, 12h, 7d or 2w, or a date such as"
            " 2026-11-28 or 2026-11-28T14:30",
        ) from None


def _nearest(folder: Path, wanted: str) -> str:
    ids = [found for path in trace_files(folder) if (found := id_in(path))]
    if any(found.startswith(wanted) for found in ids):
        return ""  # the error names them
    near = get_close_matches(wanted, ids, _NEAREST, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; the newest are {', '.join(ids[:_NEAREST])}" if ids else "; there are no traces yet"
