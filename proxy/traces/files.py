"""Where traces lie: `<traces>/<backend>/<UTC time>-<id>.json`, sorted by time and ending in the id."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

TRACES_FOLDER = "traces"  # below the home folder

_ID = re.compile(r"req_[A-Za-z0-9]{1,64}")
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-(?P<id>req_[A-Za-z0-9]{1,64})\.json")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def is_trace_id(text: str) -> bool:
    """Whether this can be a trace's id (which is its request's id), and thus part of a file name."""
    return _ID.fullmatch(text) is not None


def trace_path(backend: str, at: float, trace_id: str) -> str:
    """The path of a trace, relative to the traces folder; `at` in epoch seconds."""
    moment = datetime.fromtimestamp(at, UTC)
    name = f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z-{trace_id}.json"
    return f"{_UNSAFE.sub('_', backend).lstrip('.') or 'unnamed'}/{name}"


def id_in(path: str | Path) -> str | None:
    """The id in a trace's file name; None when it is not named like a trace."""
    match = _NAME.fullmatch(os.path.basename(path))
    return match["id"] if match else None


def trace_files(folder: Path) -> Iterator[str]:
    """Paths of all traces, relative to the traces folder, newest first.

    Folders whose names no backend makes, such as a copy by hand, are left alone, and so is a second name of
    one folder: what is in it would count twice.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    by_backend = [_sorted_names(folder, backend) for backend in _backends(folder)]
    for name, backend in heapq.merge(*by_backend, reverse=True):
        yield f"{backend}/{name}"


def _sorted_names(folder: Path, backend: str) -> Iterator[tuple[str, str]]:
    names: list[str] = []
    with suppress(FileNotFoundError):  # gone meanwhile
        names = [name for name in os.listdir(folder / backend) if id_in(name)]
    names.sort(reverse=True)
    return ((name, backend) for name in names)


def count_traces(folder: Path) -> tuple[int, int]:
    """How many files `trace_files` finds, and their bytes; none of them is kept in memory.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    number = size = 0
    for backend in _backends(folder):
        with suppress(FileNotFoundError), os.scandir(folder / backend) as entries:
            for entry in entries:
                if id_in(entry.name):
                    with suppress(OSError):  # gone meanwhile
                        size += entry.stat().st_size
                        number += 1
    return number, size


def gone(folder: Path, paths: Iterable[str]) -> list[str]:
    """Those of `paths` (relative to the traces folder) that `trace_files` does not find.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    backends = set(_backends(folder))

    def is_found(path: str) -> bool:
        backend, _, name = path.partition("/")
        return backend in backends and id_in(name) is not None and os.path.lexists(f"{folder}/{path}")

    return [path for path in paths if not is_found(path)]


def _backends(folder: Path) -> list[str]:
    try:
        entries = [entry for entry in os.scandir(folder) if entry.is_dir()]
    except FileNotFoundError:
        return []
    by_place: dict[tuple[int, int], str] = {}
    for entry in sorted(entries, key=lambda one: (one.is_symlink(), one.name)):
        if not _UNSAFE.search(entry.name) and not entry.name.startswith("."):
            place = os.stat(entry)
            by_place.setdefault((place.st_dev, place.st_ino), entry.name)
    return list(by_place.values())


def time_in(path: str | Path) -> float | None:
    """The time in a trace's file name, in epoch seconds; None when it is not named like a trace."""
    name = os.path.basename(path)
    if id_in(name) is None:
        return None
    try:
        return datetime.fromisoformat(name[:20]).timestamp()
    except ValueError:
        return None  # the 99th of a month
