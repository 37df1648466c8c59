"""The folder `cache-metrics`: lines of the requests in the trace index, and `days.csv`, made of all lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

from engine.process.private_files import write_private
from proxy.traces.analysis.facts import REQUEST_COLUMNS, Row
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.analysis.sums import ALL, Choice, Requests, RequestSums, day_sums, request_sums
from proxy.traces.metrics.groups_csv import groups_csv
from proxy.traces.metrics.line_files import RequestLines
from proxy.traces.metrics.request_table import RequestTable

METRICS_FOLDER = "cache-metrics"  # below the home folder
DAYS_NAME = "days.csv"
AT_ONCE_BYTES = 20_000_000  # of lines, which take a second to sum up

_ROWS = f"SELECT {', '.join(REQUEST_COLUMNS)} FROM requests"
_PAGE = 1000  # rows of the index in memory at once


class CacheMetrics:
    """The metrics of one home; its methods may be called from any thread.

    `notice` is told of what people should know. Nothing here raises because of a disk that cannot be written:
    what could not be added is kept and added with what comes next.
    """

    def __init__(
        self, folder: Path, *, prices: PriceTable | None = None, notice: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self._prices = prices
        self._notice = notice
        self._lines = RequestLines(folder, notice=notice)
        self._owed: dict[str, Row] = {}  # by id; traces may be pruned before these can be written
        self._failing = False

    def collect(self, index: Requests, trace: str = "") -> int:
        """Add the requests of the index that have no line yet, or one of them; returns how many were added.

        Raises:
            sqlite3.Error: the index cannot be read.
        """
        added, writable = 0, True
        for rows in _pages(index, trace):
            if writable:
                try:
                    added += self._add(rows)
                    continue
                except OSError as error:  # the next would wait as long for the lock
                    writable = False
                    self._report(error)
            self._owed.update((str(row[0]), row) for row in rows)
        return added

    def _add(self, rows: list[Row]) -> int:
        owed = list(self._owed.items())
        added = self._lines.add([*rows, *(row for _, row in owed)])
        for key, _ in owed:
            self._owed.pop(key, None)
        self._failing = False
        return added

    def table(self, choice: Choice = ALL, *, many: bool = False) -> RequestTable:
        """The requests of the months that a choice touches, for sums; to be closed. `many` as there.

        Raises:
            OSError: a file cannot be read.
        """
        rows = chain(self._lines.rows(choice.since, choice.until), self._owed.values())
        return RequestTable(rows, many=many)

    def sums(self, choice: Choice = ALL) -> RequestSums:
        """The sums of the chosen requests, pruned ones too.

        Raises:
            OSError: a file cannot be read.
        """
        table = self.table(choice)
        try:
            return request_sums(table, choice, self._prices)
        finally:
            table.close()

    def write_days(self, *, at_once: bool = False) -> None:
        """Write `days.csv` anew if a line was added since; `at_once` leaves it where there are many lines."""
        path = self.folder / DAYS_NAME
        try:
            lines = [file.stat() for file in self._lines.files()]
            written = path.stat().st_mtime_ns if path.exists() else 0
            if written >= max((file.st_mtime_ns for file in lines), default=0):
                return
            if at_once and sum(file.st_size for file in lines) > AT_ONCE_BYTES:
                return
            with closing(self.table(many=True)) as table:
                days = groups_csv("day", day_sums(table, self._prices))
            write_private(path, days.encode())
        except (OSError, sqlite3.Error) as error:
            self._report(error)

    def _report(self, error: OSError | sqlite3.Error) -> None:
        if not self._failing:
            self._notice(
                f"cache metrics cannot be written ({error}); requests go on, and what is missing in"
                f" {self.folder} is added as soon as it can be written"
            )
        self._failing = True


def _pages(index: Requests, trace: str) -> Iterator[list[Row]]:
    """The rows of all requests of the index, or of one: at least one page, with which what is owed can go."""
    if trace:
        yield index.select(f"{_ROWS} WHERE id = ?", (trace,))
        return
    page = index.select(f"{_ROWS} ORDER BY id LIMIT {_PAGE}")
    yield page
    while len(page) == _PAGE:
        page = index.select(f"{_ROWS} WHERE id > ? ORDER BY id LIMIT {_PAGE}", (page[-1][0],))
        yield page
