"""The index for one command: brought in line with the files, or made of them in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from proxy.traces.index import TraceIndex
from proxy.traces.index_tables import IndexDamaged
from proxy.traces.reconcile import reconcile

_T = TypeVar("_T")


def asked_index(folder: Path, question: Callable[[TraceIndex], _T], *, notice: Callable[[str], None]) -> _T:
    """The answer of a traces folder's index; one that turns out to be damaged is made anew and asked again.

    Raises:
        OSError, sqlite3.Error: as `opened_index`.
    """
    with opened_index(folder, notice=notice) as index:
        try:
            return question(index)
        except IndexDamaged:
            reconcile(folder, index, notice=notice)
            return question(index)


@contextmanager
def opened_index(folder: Path, *, notice: Callable[[str], None]) -> Iterator[TraceIndex]:
    """The index of a traces folder, up to date; where its file is locked, one in memory, with a notice.

    Raises:
        OSError: the folder is there and cannot be read.
        sqlite3.Error: there is no room even in memory.
    """
    index = _up_to_date(folder, notice)
    try:
        yield index
    finally:
        index.close()


def _up_to_date(folder: Path, notice: Callable[[str], None]) -> TraceIndex:
    if folder.is_dir():
        index = TraceIndex(folder, notice=notice)
        try:
            _fill(folder, index, notice)
            return index
        except sqlite3.Error as error:
            index.close()
            notice(f"the trace index cannot be brought up to date ({error}); the files are read instead")
        except BaseException:
            index.close()
            raise
    index = TraceIndex(None, notice=notice)
    _fill(folder, index, notice)
    return index


def _fill(folder: Path, index: TraceIndex, notice: Callable[[str], None]) -> None:
    try:
        reconcile(folder, index, notice=notice)
    except IndexDamaged:  # an empty one is in its place
        reconcile(folder, index, notice=notice)
