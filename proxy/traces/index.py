"""The list of traces as a SQLite table beside them: a convenience that the files can rebuild at any time.

Several hosts may share the folder: SQLite's write-ahead log keeps them apart. Where the file cannot be used
at all the table lives in memory.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.process.private_files import open_private, private_folder
from proxy.traces.files import is_trace_id
from proxy.traces.schema import Trace, TraceSummary
from proxy.traces.summary import summarize

INDEX_NAME = "index.sqlite"
INDEX_VERSION = 1  # grows when the table or a row's meaning changes; another version is dropped and rebuilt
MOST_ROWS = 1000  # a page

_TABLES = f"""
BEGIN;
DROP TABLE IF EXISTS traces;
DROP TABLE IF EXISTS calls;
CREATE TABLE traces (id TEXT PRIMARY KEY, time REAL NOT NULL, path TEXT NOT NULL, words TEXT NOT NULL,
                     summary TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX traces_by_time ON traces (time DESC, id DESC);
CREATE TABLE calls (id TEXT PRIMARY KEY, path TEXT NOT NULL, resolved INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {INDEX_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class TracePage:
    """Rows of the trace list, newest first, and how many traces match in all."""

    traces: list[TraceSummary]
    total: int


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index knows of one trace: its row, and which of its tool calls have their result."""

    summary: TraceSummary
    calls: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, trace: Trace, path: str, size: int) -> IndexEntry:
        calls = tuple((call.id, call.is_error is not None) for call in trace.tool_calls)
        return cls(summarize(trace, path, size), calls)


class TraceIndex:
    """The table, open. Its methods block for milliseconds at most and may be called from any thread.

    `notice` is told, from whichever thread, of what people should know, and `renewed` is called when a
    damaged table was replaced by an empty one (`reconcile` fills it again). All methods raise `sqlite3.Error`
    where the disk is full or the table cannot be used; the next call tries again.
    """

    def __init__(
        self, folder: Path, *, notice: Callable[[str], None], renewed: Callable[[], None] = lambda: None
    ) -> None:
        self._folder = folder
        self._notice = notice
        self._renewed = renewed
        self._lock = threading.RLock()
        self._open()

    def put(self, entries: Iterable[IndexEntry], *, replace: bool = True) -> None:
        """Add rows; with `replace` off, rows that are there already stay as they are."""
        verb = "REPLACE" if replace else "IGNORE"
        rows, calls = [], []
        for entry in entries:
            row = entry.summary
            rows.append((row.id, row.time, row.path, _words(row), row.model_dump_json()))
            calls += [(call, row.path, resolved) for call, resolved in entry.calls]
        with self._guarded() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(f"INSERT OR {verb} INTO traces VALUES (?, ?, ?, ?, ?)", rows)
            db.executemany(f"INSERT OR {verb} INTO calls VALUES (?, ?, ?)", calls)

    def remove(self, paths: Iterable[str]) -> None:
        """Forget the traces at these paths."""
        gone = [(path,) for path in paths]
        with self._guarded() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM traces WHERE path = ?", gone)
            db.executemany("DELETE FROM calls WHERE path = ?", gone)

    def paths(self) -> set[str]:
        """Paths of all traces in the table, relative to the traces folder."""
        with self._guarded() as db:
            return {path for (path,) in db.execute("SELECT path FROM traces")}

    def page(self, *, limit: int = 100, before: str = "", query: str = "") -> TracePage:
        """The newest traces that have all words of `query`.

        Args:
            before: the id of the last row of the page above, or a time in epoch seconds; empty: first page.

        Raises:
            ValueError: `before` is neither a known id nor a time.
        """
        words = query.lower().split()
        match = " AND ".join(["1", *["instr(words, ?)"] * len(words)])
        limit = max(0, min(limit, MOST_ROWS))
        with self._guarded() as db:
            time, row_id = self._place(db, before)
            total: int = db.execute(f"SELECT count(*) FROM traces WHERE {match}", words).fetchone()[0]
            rows = db.execute(
                f"SELECT summary FROM traces WHERE {match} AND (time, id) < (?, ?)"
                " ORDER BY time DESC, id DESC LIMIT ?",
                (*words, time, row_id, limit),
            ).fetchall()
        return TracePage([TraceSummary.model_validate_json(row) for (row,) in rows], total)

    def open_call(self, tool_use_id: str) -> str | None:
        """The path of the trace with this tool call, if it has no result yet."""
        with self._guarded() as db:
            row = db.execute(
                "SELECT path FROM calls WHERE id = ? AND NOT resolved", (tool_use_id,)
            ).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """Close the file; nothing may be called afterwards."""
        with self._lock:
            self._db.close()

    def _place(self, db: sqlite3.Connection, before: str) -> tuple[float, str]:
        if not before:
            return float("inf"), ""
        if not is_trace_id(before):
            try:
                return float(before), ""
            except ValueError:
                raise ValueError(f"before={before} is neither a trace id nor a time in seconds") from None
        row = db.execute("SELECT time, id FROM traces WHERE id = ?", (before,)).fetchone()
        if row is None:
            raise ValueError(f"before={before}: there is no such trace")
        return row[0], row[1]

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        """The table for one transaction; where it turns out to be damaged, a fresh one takes its place."""
        with self._lock:
            try:
                yield self._db
                if self._db.in_transaction:
                    self._db.execute("COMMIT")
            except BaseException as error:
                if type(error) is sqlite3.DatabaseError:  # its subclasses are other troubles
                    self._db.close()
                    self._renew(error)
                    self._renewed()
                elif self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _open(self) -> None:
        try:
            private_folder(self._folder)
            open_private(self._folder / INDEX_NAME, "ab").close()
            self._db = _connect(str(self._folder / INDEX_NAME))
        except sqlite3.OperationalError as error:  # locked for long, no space, read-only
            self._in_memory(error)
        except sqlite3.DatabaseError as error:
            self._renew(error)
        except OSError as error:
            self._in_memory(error)

    def _renew(self, error: sqlite3.DatabaseError) -> None:
        self._notice(f"the trace index was damaged ({error}) and is rebuilt from the trace files")
        try:
            for suffix in ("", "-wal", "-shm"):
                (self._folder / (INDEX_NAME + suffix)).unlink(missing_ok=True)
            open_private(self._folder / INDEX_NAME, "ab").close()
            self._db = _connect(str(self._folder / INDEX_NAME))
        except (OSError, sqlite3.Error) as second:
            self._in_memory(second)

    def _in_memory(self, error: Exception) -> None:
        self._notice(
            f"the trace index {self._folder / INDEX_NAME} cannot be used ({error}); the list of traces is"
            " kept in memory until the next start"
        )
        self._db = _connect(":memory:")


def _connect(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if db.execute("PRAGMA user_version").fetchone()[0] != INDEX_VERSION:
            db.executescript(_TABLES)
        db.execute("SELECT 1 FROM traces, calls LIMIT 1")
    except BaseException:
        db.close()
        raise
    return db


def _words(row: TraceSummary) -> str:
    parts = [row.id, row.session, row.agent, row.lane, row.backend, row.model, row.preview, row.error]
    return " ".join([*parts, row.stop_reason, str(row.status)]).lower()
