"""Puts traces on disk in one thread that redacts, writes and lists: the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.files import trace_path
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.metrics.cache_metrics import CacheMetrics
from proxy.traces.reading import TraceUnreadable, load_trace, read_trace
from proxy.traces.reconcile import reconcile
from proxy.traces.redaction.redact import Redactor, credentials_in, redacted_trace
from proxy.traces.retention import Limits, PrunePlan, plan_prune, prune, removal_begins, size_words
from proxy.traces.schema import Trace

_REMEMBERED_CREDENTIALS = 32
PRUNE_EVERY_S = 3600.0
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """The client's result for a tool call that an earlier trace holds."""

    tool_use_id: str
    result: str
    is_error: bool
    duration_s: float | None
    path: str = ""  # of that trace, relative to the traces folder; empty where only the index may know


class TraceStore:
    """The traces folder of a host; what is over its limits is removed after `reconcile` and every hour.

    A folder's first removal is announced a week ahead.
    `metrics` is the folder of cache metrics, which get a line for each trace, after its answer has ended.
    `notice` is called on the event loop with what people should know, `unwritten` with the number of traces
    in a row that could not be written and why, and with 0 after one could. Nothing here raises because of a
    disk: what cannot be written is counted and reported.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secrets: Iterable[str] = (),
        limits: Limits = NO_LIMITS,
        metrics: Path | None = None,
        prices: PriceTable | None = None,
        notice: Callable[[str], None],
        unwritten: Callable[[int, str], None] = lambda number, why: None,
    ) -> None:
        self.folder = folder
        self._limits = limits
        self._pruned_at = time.monotonic()
        self._secrets = tuple(secrets)
        self._redactor = Redactor(self._secrets)  # replaced by the writer's thread alone
        self._notice = notice
        self._tell_unwritten = unwritten
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="traces")
        self._stopped = threading.Event()
        self._background: threading.Thread | None = None
        self._unwritten = 0
        self._announced = False
        self._unlisted = False
        self.index = TraceIndex(folder, notice=self._notify, renewed=self.reconcile)
        self._metrics = CacheMetrics(metrics, prices=prices, notice=self._notify) if metrics else None

    def reconcile(self) -> None:
        """Bring the index in line with the folder, and the folder within its limits, in the background."""
        self._in_background(self._reconcile)

    async def write(self, trace: Trace) -> str:
        """Put a trace on disk; returns its path relative to the folder, or "" where that failed.

        The trace's bodies must not change any more.
        """
        return await self._loop.run_in_executor(self._writer, self._write, trace)

    def load(self, trace_id: str) -> Trace:
        """One trace, by the index's path; what the index lacks is looked for in the folder. Blocks.

        Raises:
            TraceNotFound, TraceUnreadable: as `proxy.traces.reading.load_trace`.
        """
        with suppress(sqlite3.Error, TraceUnreadable):
            if path := self.index.path_of(trace_id):
                return read_trace(self.folder / path)
        return load_trace(self.folder, trace_id)

    def brief(self, trace_id: str) -> Trace:
        """One trace without what is long in it. Blocks, and raises as `load`."""
        return self.load(trace_id).brief()

    def path_of(self, trace: Trace) -> str:
        """The path of a trace, relative to the folder, also before it is written."""
        return trace_path(trace.backend, trace.time, trace.id)

    def link(self, outcomes: Iterable[ToolOutcome]) -> None:
        """Add results to the tool calls of earlier traces, once each, after all writes before this call."""
        self._writer.submit(self._link, list(outcomes))

    async def close(self) -> None:
        """Return when everything that was given is on disk."""
        self._stopped.set()
        await asyncio.to_thread(self._writer.shutdown)
        if self._background is not None:
            await asyncio.to_thread(self._background.join)
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.write_days, at_once=True)
        self.index.close()

    def _write(self, trace: Trace) -> str:
        path = self.path_of(trace)
        try:
            self._put(self._redacted(trace), path)
        except Exception as error:  # whatever it is, it must not cost the client its answer
            self._failed(path, error)
            return ""
        if time.monotonic() - self._pruned_at > PRUNE_EVERY_S and not self._busy():
            self._in_background(self._prune)
        if self._unwritten:
            self._notify(f"traces are written again; {self._unwritten} could not be")
            self._unwritten = 0
            self._on_loop(self._tell_unwritten, 0, "")
        with suppress(RuntimeError):  # the store closes; the next start adds the line
            self._writer.submit(self._collect, trace.id)
        return path

    def _put(self, trace: Trace, path: str) -> None:
        content = encode_json(_as_json(trace))
        write_private(self.folder / path, content)
        try:
            self.index.put([IndexEntry.of(trace, path, len(content))])
        except sqlite3.Error as error:
            if not self._unlisted:
                self._notify(
                    f"trace {trace.id} is written but not in the index ({error}), nor may later ones be;"
                    " they are added as soon as it can be written"
                )
            self._unlisted = True
        else:
            if self._unlisted and not self._busy():
                self._unlisted = False
                self.reconcile()

    def _redacted(self, trace: Trace) -> Trace:
        if len(self._redactor.secrets) > _REMEMBERED_CREDENTIALS:
            self._redactor = Redactor(self._secrets)
        # Kept for later: the results of tool calls may show a credential of the request that made the calls.
        self._redactor = self._redactor.knowing(credentials_in(trace.request.headers))
        return redacted_trace(trace, self._redactor)

    def _link(self, outcomes: list[ToolOutcome]) -> None:
        by_path: dict[str, list[ToolOutcome]] = {}
        for outcome in outcomes:
            path = outcome.path or self._path_of(outcome.tool_use_id)
            if path and (self.folder / path).exists():  # not pruned, nor lost to a full disk
                by_path.setdefault(path, []).append(outcome)
        for path, together in by_path.items():
            try:
                trace = read_trace(self.folder / path)
                if self._add_results(trace, together):
                    self._put(trace, path)
            except TraceUnreadable as error:
                self._notify(f"a tool's result could not be added to its call: {error}")
            except OSError as error:
                self._failed(path, error)

    def _add_results(self, trace: Trace, outcomes: list[ToolOutcome]) -> bool:
        added = False
        for outcome in outcomes:
            for call in trace.tool_calls:
                if call.id == outcome.tool_use_id and call.is_error is None:
                    call.result = self._redactor.text(outcome.result)
                    call.is_error = outcome.is_error
                    call.duration_s = outcome.duration_s
                    added = True
        return added

    def _path_of(self, tool_use_id: str) -> str | None:
        try:
            return self.index.open_call(tool_use_id)
        except sqlite3.Error:
            return None  # the result still stands in the trace of the request that carried it

    def _collect(self, trace: str = "") -> None:
        """Give traces of the index, or one of them, their lines in the cache metrics."""
        if self._metrics is None:
            return
        with suppress(sqlite3.Error):  # after the index is rebuilt, they are added
            self._metrics.collect(self.index, trace)

    def _reconcile(self) -> None:
        self._collect()  # of traces, too, whose files are gone since
        try:
            reconcile(self.folder, self.index, notice=self._notify, stopped=self._stopped.is_set)
        except (OSError, sqlite3.Error) as error:
            self._notify(f"the trace index may lack older traces: {error}")
        self._collect()
        self._prune()

    def _prune(self) -> None:
        self._pruned_at = time.monotonic()
        if self._metrics is not None:
            self._metrics.write_days()
        if not self._limits:
            return
        try:
            plan = plan_prune(self.folder, self._limits)
            if plan.removals and (begins := removal_begins(self.folder)) > time.time():
                self._announce(plan, begins)
                return
            pruned = prune(self.folder, self.index, plan, metrics=self._metrics, stopped=self._stopped.is_set)
        except (OSError, sqlite3.Error) as error:
            self._notify(f"old traces could not be removed: {error}; the next try is in an hour")
            return
        if pruned.traces:
            self._notify(
                f"{pruned.traces:,} old traces ({size_words(pruned.bytes)}) were removed, to stay within"
                f" {self._limits}; {plan.kept:,} are left ({size_words(plan.kept_bytes)})"
            )
        if pruned.failed:
            self._notify(f"{pruned.failed:,} old traces could not be removed ({pruned.error})")

    def _announce(self, plan: PrunePlan, begins: float) -> None:
        if self._announced:
            return
        self._announced = True
        day = datetime.fromtimestamp(begins)
        self._notify(
            f"{len(plan.removals):,} traces ({size_words(plan.bytes)}) are beyond {self._limits} and will be"
            f" removed from {day:%Y-%m-%d %H:%M} on; anyclaude-tui traces prune lists them, traces mark ID"
            ' keeps one, and "traceMaxDays": 0 with "traceMaxBytes": 0 in the configuration keeps all'
        )

    def _busy(self) -> bool:
        return self._background is not None and self._background.is_alive()

    def _in_background(self, work: Callable[[], None]) -> None:
        self._background = threading.Thread(target=work, name="trace upkeep", daemon=True)
        self._background.start()

    def _failed(self, path: str, error: Exception) -> None:
        if isinstance(error, OSError):
            why, remedy = error.strerror or str(error), "free space or make the folder writable"
        else:
            why, remedy = repr(error), "please report this"
        self._unwritten += 1
        self._on_loop(self._tell_unwritten, self._unwritten, why)
        if self._unwritten == 1:
            self._notify(
                f"traces cannot be written ({why}: {self.folder / path}); requests go on without; {remedy}"
            )

    def _notify(self, text: str) -> None:
        self._on_loop(self._notice, text)

    def _on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            pass  # the loop is closed, and its readers are gone


def _as_json(trace: Trace) -> dict[str, Any]:
    # Bodies go by reference: they are most of a trace, and dumping them would copy and check each value.
    small = trace.model_dump(exclude={"request": {"body"}, "upstream": True})
    small["request"]["body"] = trace.request.body
    small["upstream"] = trace.upstream
    return small
