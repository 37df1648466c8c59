"""A table of requests in memory, for what is not in the trace index."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from proxy.traces.analysis.facts import REQUEST_COLUMNS, Row


class RequestTable:
    """Rows of `REQUEST_COLUMNS`, each request once; may be used from any thread."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute(
            f"CREATE TABLE requests ({', '.join(REQUEST_COLUMNS)}, PRIMARY KEY (id)) WITHOUT ROWID"
        )
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows; of a request that is there already, the first stays."""
        places = ", ".join("?" * len(REQUEST_COLUMNS))
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany(f"INSERT OR IGNORE INTO requests VALUES ({places})", rows)
            self._db.execute("COMMIT")

    def select(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement that only reads."""
        with self._lock:
            return self._db.execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Free its memory; nothing may be called afterwards."""
        with self._lock:
            self._db.close()
