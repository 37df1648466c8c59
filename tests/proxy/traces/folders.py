"""A traces folder with an index on it, for tests."""

from __future__ import annotations

from pathlib import Path

from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.traces.files import trace_path
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.reconcile import reconcile
from proxy.traces.schema import Trace


class Folder:
    """A traces folder with an index on it, and what the index had to say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: list[str] = []
        self.renewed = 0
        self.index = self.open()

    def open(self) -> TraceIndex:
        def renewed() -> None:
            self.renewed += 1

        self.index = TraceIndex(self.path, notice=self.notices.append, renewed=renewed)
        return self.index

    def reopen(self) -> TraceIndex:
        self.index.close()
        return self.open()

    def write(self, trace: Trace) -> str:
        path = trace_path(trace.backend, trace.time, trace.id)
        write_private(self.path / path, encode_json(trace.model_dump()))
        return path

    def put(self, *traces: Trace) -> None:
        self.index.put([IndexEntry.of(trace, self.write(trace), 100) for trace in traces])

    def reconcile(self) -> int:
        return reconcile(self.path, self.index, notice=self.notices.append)

    def ids(self, **arguments: object) -> list[str]:
        return [row.id for row in self.index.page(**arguments).traces]  # type: ignore[arg-type]
