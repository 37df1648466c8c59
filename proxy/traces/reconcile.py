"""Brings the index in line with the files of the folder: after a crash, if it is missing, after changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from engine.process.private_files import DRAFT_SUFFIX
from proxy.traces.files import gone, trace_files
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.reading import TraceDamaged, TraceUnreadable, parse_trace, trace_content

_ASKED = 500  # files that the index is asked for at once
_BATCH = 50  # files a transaction: the writer of new traces never waits longer than for these
_DRAFT_AGE_S = 3600.0  # no writing takes that long
DAMAGED_SUFFIX = ".damaged"


def reconcile(
    folder: Path,
    index: TraceIndex,
    *,
    notice: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Index the traces that the index does not know, newest first, and forget those that are gone.

    A file without a trace is quarantined: it gets another name, with a notice. Meant for a thread of its own.

    Returns:
        How many traces were added.

    Raises:
        OSError: the folder cannot be read.
        sqlite3.Error: the index cannot be written.
    """
    _sweep(folder)
    index.forget_halves()
    for paths in index.paths():
        # Looked for now: a trace is in the index only after its file is there.
        if lost := gone(folder, paths):
            index.remove(lost)
    files = trace_files(folder)
    added = 0
    while (paths := list(islice(files, _ASKED))) and not stopped():
        unknown = iter(index.unknown(paths))
        while (batch := list(islice(unknown, _BATCH))) and not stopped():
            entries = list(_entries(folder, batch, notice))
            index.put(entries, replace=False)
            added += len(entries)
    return added


def _entries(folder: Path, paths: list[str], notice: Callable[[str], None]) -> Iterator[IndexEntry]:
    for path in paths:
        file = folder / path
        try:
            content = trace_content(file)
            yield IndexEntry.of(parse_trace(content, str(file), exact=False), path, len(content))
        except FileNotFoundError:
            continue  # pruned in between
        except TraceDamaged as error:
            notice(f"{error}; {_quarantine(file)}")
        except (TraceUnreadable, OSError) as error:
            notice(f"{error}; it is left out of the list")


def _sweep(folder: Path) -> None:
    """Remove the unfinished files of a killed host."""
    for draft in list(_drafts(folder)):
        try:
            if time.time() - draft.stat().st_mtime > _DRAFT_AGE_S:
                draft.unlink()
        except OSError:
            continue  # in use again, or gone


def _drafts(folder: Path) -> Iterator[Path]:
    """Not by `Path.glob`, which has a list of all files of a folder first."""
    for inner in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError), os.scandir(inner) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(DRAFT_SUFFIX):
                    yield Path(entry.path)


def _quarantine(file: Path) -> str:
    renamed = file.with_name(file.name + DAMAGED_SUFFIX)
    try:
        file.rename(renamed)
    except OSError as error:
        return f"it could not be renamed ({error.strerror or error})"
    return f"it is kept as {renamed.name}"
