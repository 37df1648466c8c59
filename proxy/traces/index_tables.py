"""The tables of the trace index, and how a connection gets them: made, renewed, or refused."""

from __future__ import annotations

import math
import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress

from pydantic import ValidationError

from engine.wire.json_text import plain_text
from proxy.traces.analysis.facts import CALL_COLUMNS, MISS_COLUMNS, REQUEST_COLUMNS
from proxy.traces.listing.list_row import LIST_COLUMNS

# Grows when a table or the meaning of a row changes. An older index is emptied, and the files fill it again;
# not while a process of that version has it open, which would go on with tables that it does not know.
INDEX_VERSION = 7
LOCKED_S = 5.0  # that a statement waits for another process
_MOST = 2**53  # of a number
OLDER_S = 1.0  # that an older version's process is waited for: commands end soon, hosts do not
STALE = "search_is_stale"  # in `notes`: a process without FTS5 has changed `texts`

_TABLES = {
    "traces": f"({', '.join(LIST_COLUMNS)}, PRIMARY KEY (id)) WITHOUT ROWID",
    "summaries": "(id TEXT PRIMARY KEY, summary TEXT NOT NULL) WITHOUT ROWID",
    "requests": f"({', '.join(REQUEST_COLUMNS)}, PRIMARY KEY (id)) WITHOUT ROWID",
    "calls": f"({', '.join(CALL_COLUMNS)}, PRIMARY KEY (trace, number)) WITHOUT ROWID",
    "misses": f"({', '.join(MISS_COLUMNS)}, PRIMARY KEY (trace)) WITHOUT ROWID",
    "texts": "(row INTEGER PRIMARY KEY, trace TEXT NOT NULL UNIQUE, text TEXT NOT NULL)",
    "notes": "(name TEXT PRIMARY KEY) WITHOUT ROWID",
}
_INDICES = (
    "CREATE INDEX traces_by_time ON traces (time DESC, id DESC, bytes)",
    "CREATE INDEX traces_by_figures ON traces (took, ttft, prompt, share, out, time, id)",
    "CREATE INDEX traces_by_path ON traces (path)",
    "CREATE INDEX calls_by_id ON calls (id)",
)
# Apart from these, so that an index of this version that has it not yet gets it without being made anew.
_BY_SESSION = "CREATE INDEX IF NOT EXISTS traces_by_session ON traces (session, time DESC, id DESC)"
# Words are told apart as Python's `\w` does, but for `_`; see `proxy.traces.analysis.search`.
_SEARCH = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5 (text, content='texts', content_rowid='row',"
    " tokenize='unicode61 remove_diacritics 0')"
)


class NewerIndex(sqlite3.OperationalError):
    """Raised when the file was made by a newer version of this program; it stays as it is."""


class OlderInUse(sqlite3.OperationalError):
    """Raised when a process of an older version of this program has the file open; it stays as it is."""


class IndexDamaged(sqlite3.DatabaseError):
    """Raised when the file turned out to be damaged; an empty table is in its place."""


def is_damage(error: BaseException) -> bool:
    """Whether this says that the file is damaged: by what SQLite found, or by what it let through."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("Could not decode to UTF-8")
    # Of the first, subclasses are other troubles. The second comes of the names of tables.
    return type(error) is sqlite3.DatabaseError or isinstance(error, UnicodeDecodeError | ValidationError)


def connect(name: str) -> tuple[sqlite3.Connection, bool]:
    """The table in this file, and whether it can be searched by FTS5.

    Raises:
        NewerIndex, OlderInUse: the file is a newer version's, or an older one's that still uses it.
        IndexDamaged: it lacks a table of its version.
        sqlite3.Error, UnicodeDecodeError: it cannot be used; see `is_damage`.
    """
    ends = time.monotonic() + OLDER_S
    while True:
        try:
            return _connected(name)
        except OlderInUse:  # or another process of this version is about to renew it
            if time.monotonic() >= ends:
                raise
            time.sleep(random.uniform(0.01, 0.1))


def _connected(name: str) -> tuple[sqlite3.Connection, bool]:
    db = sqlite3.connect(name, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
    try:
        _refuse_newer(db)
        if 0 < (version := _version(db)) < INDEX_VERSION:
            _refuse_older_in_use(db, version)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")  # a pruned prompt is to be gone
        if _version(db) != INDEX_VERSION:
            make_tables(db)
        check_tables(db)
        with suppress(
            sqlite3.OperationalError
        ):  # another process writes, or nobody may: it is slower without
            db.execute(_BY_SESSION)
        return db, _make_search(db)
    except BaseException:
        db.close()
        raise


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _refuse_newer(db: sqlite3.Connection) -> None:
    if (version := _version(db)) > INDEX_VERSION:
        raise NewerIndex(
            f"it is of version {version}, made by a newer anyclaude-tui, and this one knows {INDEX_VERSION};"
            " it stays as it is; update, or delete it to have it made anew"
        )


def _refuse_older_in_use(db: sqlite3.Connection, version: int) -> None:
    try:
        db.execute("PRAGMA journal_mode = DELETE")  # only the one connection to a file may leave the log
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise OlderInUse(
            f"it is of version {version}, and an older anyclaude-tui that still runs uses it; it stays as"
            f" it is; end that one, and the next start makes an index of version {INDEX_VERSION} of the"
            " trace files"
        ) from None


def check_tables(db: sqlite3.Connection) -> None:
    """Look for all tables of its version.

    Raises:
        IndexDamaged: it lacks a table of its version.
    """
    try:
        for name in _TABLES:  # one by one: a join goes through all rows where one table is empty
            db.execute(f"SELECT 1 FROM {name} LIMIT 1")
    except sqlite3.OperationalError as error:
        if str(error).startswith("no such table") and _version(db) == INDEX_VERSION:
            raise IndexDamaged(str(error)) from None
        raise


def make_tables(db: sqlite3.Connection) -> None:
    """Empty tables, unless another process has made them meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        _refuse_newer(db)
        if _version(db) != INDEX_VERSION:
            for name in ("search", *_TABLES):
                db.execute(f"DROP TABLE IF EXISTS {name}")
            for name, columns in _TABLES.items():
                db.execute(f"CREATE TABLE {name} {columns}")
            for statement in _INDICES:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {INDEX_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def storable_row(row: Sequence[object]) -> tuple[object, ...]:
    """What SQLite takes, and can sum: upstreams and clients decide over texts and counts."""
    # A row has sixty values, most of them plain texts or none: those cost no call of their own.
    return tuple(
        [
            value if value is None or (type(value) is str and value.isascii()) else _storable(value)
            for value in row
        ]
    )


def _storable(value: object) -> object:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, int):
        return value if -_MOST <= value <= _MOST else max(-_MOST, min(_MOST, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _make_search(db: sqlite3.Connection) -> bool:
    try:
        db.execute(_SEARCH)
    except sqlite3.OperationalError as error:
        if "no such module" in str(error):
            return False
        raise
    if db.execute("SELECT 1 FROM notes WHERE name = ?", (STALE,)).fetchone():
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO search (search) VALUES ('rebuild')")
        db.execute("DELETE FROM notes WHERE name = ?", (STALE,))
        db.execute("COMMIT")
    return True
