"""A table of requests for a while, for what is not in the trace index."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from proxy.traces.analysis.facts import REQUEST_COLUMNS, Row


class RequestTable:
    """Rows of `REQUEST_COLUMNS`, each request once; may be used from any thread.

    With `many` it takes no more memory than for some thousand, and for the rest a file without a name.
    """

    def __init__(self, rows: Iterable[Row] = (), *, many: bool = False) -> None:
        self._lock = threading.Lock()
        name = "" if many else ":memory:"
        self._db = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
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

    def each(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement that only reads, one by one; nothing else may be asked meanwhile."""
        with self._lock:
            yield from self._db.execute(statement, parameters)

    def close(self) -> None:
        """Free its memory; nothing may be called afterwards."""
        with self._lock:
            self._db.close()
