"""What traces say, as SQLite tables beside them: a convenience that the files can rebuild at any time.

Several hosts may share the folder: SQLite's write-ahead log keeps them apart. Where the file cannot be used
at all, or a newer version has made it, the tables live in memory.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.process.private_files import open_private, private_folder
from engine.wire.json_text import encode_json, plain_text
from proxy.filters.language import parse_filter
from proxy.filters.terms import Filter, Term, Time
from proxy.traces.analysis.facts import Row, TraceFacts
from proxy.traces.files import is_trace_id
from proxy.traces.index_tables import STALE, IndexDamaged, connect, is_damage, storable_row
from proxy.traces.listing.calls_page import CallPage, calls_page
from proxy.traces.listing.filter_sql import SqlFilter, sql_filter
from proxy.traces.listing.histogram import Histogram, histogram
from proxy.traces.listing.list_page import EVERY, Asked, list_page, place_in_list
from proxy.traces.listing.list_row import list_row
from proxy.traces.listing.order import BY_TIME, Order
from proxy.traces.schema import Trace, TracePage, TraceSummary
from proxy.traces.summary import summarize

INDEX_NAME = "index.sqlite"
MOST_ROWS = 1000  # a page
_MOST_OFFSET = 2**53


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index knows of one trace: its row in lists, and its facts for filters, sums and searches."""

    summary: TraceSummary
    listed: Row
    facts: TraceFacts

    @classmethod
    def of(cls, trace: Trace, path: str, size: int) -> IndexEntry:
        row = summarize(trace, path, size)
        return cls(row, list_row(trace, row), TraceFacts.of(trace, path))


# What only some of the tables have of a trace: one question in place of a removal from each.
_ANYTHING_LEFT = "SELECT " + " OR ".join(
    f"EXISTS (SELECT 1 FROM {table} WHERE {name} = ?1)"
    for table, name in (
        ("summaries", "id"),
        ("requests", "id"),
        ("calls", "trace"),
        ("misses", "trace"),
        ("texts", "trace"),
    )
)


class TraceIndex:
    """The table, open. Its methods block for milliseconds at most and may be called from any thread.

    `notice` is told, from whichever thread, of what people should know, and `renewed` is called when a
    damaged table was replaced by an empty one (`reconcile` fills it again). Without a folder it lives in
    memory. All methods raise `sqlite3.Error` where the disk is full or the table cannot be used, of it
    `IndexDamaged` where the table was damaged; the next call tries again.
    """

    searchable: bool  # by FTS5, which some builds of SQLite lack

    def __init__(
        self,
        folder: Path | None,
        *,
        notice: Callable[[str], None],
        renewed: Callable[[], None] = lambda: None,
    ) -> None:
        self._notice = notice
        self._renewed = renewed
        self._lock = threading.RLock()
        if folder is None:
            self._connect(":memory:")
        else:
            self._folder = folder
            self._open()

    def put(self, entries: Iterable[IndexEntry], *, replace: bool = True) -> None:
        """Add rows; with `replace` off, rows that are there already stay as they are."""
        with self._guarded() as db:
            db.execute("BEGIN IMMEDIATE")
            for entry in entries:
                row, facts = entry.summary, entry.facts
                there = db.execute("SELECT 1 FROM traces WHERE id = ?", (row.id,)).fetchone()
                if there and not replace:
                    continue
                if there or db.execute(_ANYTHING_LEFT, (row.id,)).fetchone()[0]:
                    self._forget(db, row.id)
                _insert(db, "traces", [entry.listed])
                _insert(db, "summaries", [(row.id, encode_json(row.model_dump()).decode())])
                _insert(db, "requests", [facts.request])
                _insert(db, "calls", facts.calls)
                _insert(db, "misses", [facts.miss] if facts.miss else [])
                self._add_text(db, row.id, facts.text)

    def remove(self, paths: Iterable[str]) -> None:
        """Forget the traces at these paths."""
        with self._guarded() as db:
            db.execute("BEGIN IMMEDIATE")
            for path in paths:
                for (trace,) in db.execute("SELECT id FROM traces WHERE path = ?", (path,)).fetchall():
                    self._forget(db, trace)

    def select(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement that only reads; `proxy.traces.index_tables` has the tables."""
        with self._guarded() as db:
            return db.execute(statement, parameters).fetchall()

    def purge(self) -> None:
        """Take the words of removed traces out of the search as well: FTS5 keeps them until it merges."""
        if self.searchable:
            with self._guarded() as db:
                db.execute("INSERT INTO search (search) VALUES ('optimize')")

    def add_function(self, name: str, function: Callable[[str], bool]) -> None:
        """Let statements call a function of one text."""
        with self._guarded() as db:
            db.create_function(name, 1, function, deterministic=True)

    def forget_halves(self) -> None:
        """Forget traces that only one table has: an older version's host, if it still runs, knows but one."""
        with self._guarded() as db:
            for table, other in (("traces", "requests"), ("requests", "traces")):
                # Not with NOT IN, for which SQLite copies all ids of the other.
                where = f"NOT EXISTS (SELECT 1 FROM {other} WHERE {other}.id = {table}.id)"
                if db.execute(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1").fetchone():
                    db.execute(f"DELETE FROM {table} WHERE {where}")

    def paths(self) -> Iterator[list[str]]:
        """Paths of all traces in the table, relative to the traces folder: sorted, and in pages."""
        page: list[str] = []
        while page := self._paths_after(page[-1] if page else None):
            yield page

    def _paths_after(self, last: str | None) -> list[str]:
        where, parameters = ("", ()) if last is None else ("WHERE path > ?", (last,))
        statement = f"SELECT DISTINCT path FROM traces {where} ORDER BY path LIMIT {MOST_ROWS}"
        return [path for (path,) in self.select(statement, parameters)]

    def unknown(self, paths: Sequence[str]) -> list[str]:
        """Those of `paths` that no trace in the table has."""
        marks = ", ".join("?" * len(paths))
        known = {path for (path,) in self.select(f"SELECT path FROM traces WHERE path IN ({marks})", paths)}
        return [path for path in paths if path not in known]

    def page(
        self,
        *,
        limit: int = 100,
        before: str = "",
        offset: int = 0,
        around: str = "",
        order: Order = BY_TIME,
        since: float = 0.0,
        query: str | Filter = "",
        marked: Iterable[str] = (),
        now: float | None = None,
    ) -> TracePage:
        """The first traces in this order that fit the filter `query` (`proxy.filters`).

        Args:
            before: the id of the last row of the page above, or a time in epoch seconds, in the order by
                time; empty: first page.
            offset: how many of these rows are skipped.
            around: the id of a trace, or a time in epoch seconds: of the pages of `limit` rows each, the one
                with it or with the newest trace before that time; instead of `before` and `offset`.
            since: epoch seconds from which on traces are listed.
            marked: ids of the traces that have a mark, for `is:marked`.
            now: epoch seconds from which the times of the filter are counted; None: this moment.

        Raises:
            ValueError: `before` or `around` is neither a known id nor a time, or the filter cannot be read.
        """
        if before and order != BY_TIME:
            raise ValueError(
                f"before={before} is for the list by time; with another order, use offset or around"
            )
        chosen = self._chosen(query, marked, now, since)
        limit = max(0, min(limit, MOST_ROWS))
        place = None
        with self._guarded() as db:
            if around:
                trace = self._known(db, around)
                meant = trace[1] if trace else self._moment(around, "around")
                place = place_in_list(db, chosen, order, meant)
                offset = (place or 0) // max(1, limit) * limit
            above = self._place(db, before) if before else EVERY
            asked = Asked(limit, above, max(0, min(offset, _MOST_OFFSET)), order)
            rows, total = list_page(db, chosen, asked)
            listed = [TraceSummary.model_validate_json(row) for row in rows]
            return TracePage(traces=listed, total=total, offset=asked.offset, place=place)

    def histogram(
        self,
        *,
        since: float = 0.0,
        until: float | None = None,
        parts: int = 60,
        query: str | Filter = "",
        marked: Iterable[str] = (),
        now: float | None = None,
    ) -> Histogram:
        """How many traces came when, and how many of them fit the filter `query`.

        Args:
            since: epoch seconds; 0: the oldest trace's.
            until: epoch seconds; None: `now`.
            parts: into how many parts the time is divided at most.

        Raises:
            ValueError: the filter cannot be read.
        """
        now = time.time() if now is None else now
        chosen = self._chosen(query, marked, now)
        with self._guarded() as db:
            return histogram(db, chosen, since=since, until=now if until is None else until, parts=parts)

    def calls(
        self,
        *,
        limit: int = 100,
        offset: int = 0,
        failed: bool = False,
        since: float = 0.0,
        query: str | Filter = "",
        marked: Iterable[str] = (),
        now: float | None = None,
    ) -> CallPage:
        """The tool calls of the requests that fit the filter `query`, newest first.

        Args:
            failed: only calls whose result the client called an error.
            since: epoch seconds from which on requests count.

        Raises:
            ValueError: the filter cannot be read.
        """
        chosen = self._chosen(query, marked, now, since)
        limit, offset = max(0, min(limit, MOST_ROWS)), max(0, min(offset, _MOST_OFFSET))
        with self._guarded() as db:
            return calls_page(db, chosen, limit=limit, offset=offset, failed=failed)

    def _chosen(
        self, query: str | Filter, marked: Iterable[str], now: float | None, since: float = 0.0
    ) -> SqlFilter:
        if isinstance(query, str):
            query = parse_filter(query, now=time.time() if now is None else now)
        if since:
            query = query.also(Term((Time("since", since),)))
        return sql_filter(query, searchable=self.searchable, marked=marked)

    def path_of(self, trace: str) -> str | None:
        """The path of a trace, relative to the traces folder; None where it is not in the table."""
        with self._guarded() as db:
            row = db.execute("SELECT path FROM traces WHERE id = ?", (trace,)).fetchone()
        return row[0] if row else None

    def text_and_summary(self, row: int) -> tuple[str, TraceSummary]:
        """The text in this row of `texts`, and the trace that it is of."""
        with self._guarded() as db:
            text, summary = db.execute(
                "SELECT text, summary FROM texts JOIN summaries ON summaries.id = texts.trace WHERE row = ?",
                (row,),
            ).fetchone()
            return text, TraceSummary.model_validate_json(summary)

    def open_call(self, tool_use_id: str) -> str | None:
        """The path of the trace with this tool call, if it has no result yet."""
        with self._guarded() as db:
            row = db.execute(
                "SELECT calls.path, calls.error FROM calls JOIN traces ON traces.id = calls.trace"
                " WHERE calls.id = ? ORDER BY traces.time DESC LIMIT 1",
                (tool_use_id,),
            ).fetchone()
        return row[0] if row and row[1] is None else None

    def close(self) -> None:
        """Close the file; nothing may be called afterwards."""
        with self._lock:
            self._db.close()

    def _forget(self, db: sqlite3.Connection, trace: str) -> None:
        row = db.execute("SELECT row, text FROM texts WHERE trace = ?", (trace,)).fetchone()
        if row and self.searchable:  # FTS5 finds its entries by the text that made them
            db.execute("INSERT INTO search (search, rowid, text) VALUES ('delete', ?, ?)", row)
        for table in ("traces", "summaries", "requests"):
            db.execute(f"DELETE FROM {table} WHERE id = ?", (trace,))
        for table in ("calls", "misses", "texts"):
            db.execute(f"DELETE FROM {table} WHERE trace = ?", (trace,))
        self._note_stale(db)

    def _add_text(self, db: sqlite3.Connection, trace: str, text: str) -> None:
        text = plain_text(text)
        added = db.execute("INSERT INTO texts (trace, text) VALUES (?, ?)", (trace, text))
        if self.searchable:
            db.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (added.lastrowid, text))
        self._note_stale(db)

    def _note_stale(self, db: sqlite3.Connection) -> None:
        if not self.searchable:
            db.execute("INSERT OR IGNORE INTO notes VALUES (?)", (STALE,))

    def _place(self, db: sqlite3.Connection, before: str) -> tuple[float, str]:
        return self._known(db, before) or (self._moment(before, "before"), "")

    def _known(self, db: sqlite3.Connection, trace: str) -> tuple[float, str] | None:
        row = db.execute("SELECT time, id FROM traces WHERE id = ?", (trace,)).fetchone()
        return (
            (row[0], row[1]) if row is not None else None
        )  # also one of a foreign file, with an id of its own

    def _moment(self, text: str, name: str) -> float:
        if is_trace_id(text):
            raise ValueError(f"{name}={text}: there is no such trace")
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{name}={text} is neither a trace id nor a time in seconds") from None

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        """The table for one transaction; where it turns out to be damaged, a fresh one takes its place."""
        with self._lock:
            try:
                yield self._db
                if self._db.in_transaction:
                    self._db.execute("COMMIT")
            except BaseException as error:
                if is_damage(error):
                    self._db.close()
                    self._renew(error)
                    self._renewed()
                    raise IndexDamaged(f"the trace index was damaged ({error})") from error
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _open(self) -> None:
        try:
            private_folder(self._folder)
            open_private(self._folder / INDEX_NAME, "ab").close()
            self._connect(str(self._folder / INDEX_NAME))
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            if is_damage(error) or isinstance(error, IndexDamaged):
                self._renew(error)
            else:  # locked for long, no space, read-only, a newer version's
                self._in_memory(error)

    def _renew(self, error: BaseException) -> None:
        self._notice(f"the trace index was damaged ({error}) and is rebuilt from the trace files")
        try:
            for suffix in ("", "-wal", "-shm"):
                (self._folder / (INDEX_NAME + suffix)).unlink(missing_ok=True)
            open_private(self._folder / INDEX_NAME, "ab").close()
            self._connect(str(self._folder / INDEX_NAME))
        except (OSError, sqlite3.Error) as second:
            self._in_memory(second)

    def _connect(self, name: str) -> None:
        self._db, self.searchable = connect(name)

    def _in_memory(self, error: Exception) -> None:
        self._notice(
            f"the trace index {self._folder / INDEX_NAME} cannot be used ({error}); the list of traces is"
            " kept in memory until the next start"
        )
        self._connect(":memory:")


def _insert(db: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        db.executemany(
            f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", map(storable_row, rows)
        )
