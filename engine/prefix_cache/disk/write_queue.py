"""The queue of span files to write and its thread; bounded in bytes, shared prefixes first."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx

from engine.prefix_cache.disk.span_files import SpanFile
from engine.prefix_cache.interface import RANK, TokenArray
from engine.prefix_cache.layers import KV, Checkpoint

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriteJob:
    """A file to write; its evaluated arrays stay in memory until then."""

    file: SpanFile
    tokens: TokenArray
    content: KV | Checkpoint
    nbytes: int
    spare: bool = False  # no file is removed for it


class WriteQueue:
    """Files to write, and small tasks, which run before the next file.

    `write` runs on the queue's thread and handles its errors.
    """

    def __init__(self, write: Callable[[WriteJob], None], max_bytes: int) -> None:
        self._write = write
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._jobs: list[tuple[int, int, WriteJob]] = []
        self._numbers = itertools.count()
        self._tasks: list[Callable[[], object]] = []
        self._bytes = 0  # queued or being written
        self._busy = False
        self._deadline: float | None = None  # set once closing
        self._thread = threading.Thread(target=self._run, name="cache-writer", daemon=True)

    @property
    def queued_bytes(self) -> int:
        """Bytes that are queued or being written."""
        return self._bytes

    def start(self) -> None:
        self._thread.start()

    def put(self, job: WriteJob) -> bool:
        """Queue a file; returns false if the queue is full. A file larger than the queue waits alone."""
        with self._changed:
            if self._deadline is not None or (self._bytes and self._bytes + job.nbytes > self._max_bytes):
                return False
            self._bytes += job.nbytes
            heapq.heappush(self._jobs, (-RANK[job.file.kind], next(self._numbers), job))
            self._changed.notify_all()
            return True

    def run_soon(self, task: Callable[[], object]) -> None:
        """Run a small task on the thread, before the next file."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until the queue is empty; returns whether it is in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._jobs or self._tasks or self._busy), timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write queued files for at most `timeout_s` and stop the thread; returns whether it stopped."""
        with self._changed:
            self._deadline = time.monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s + 1)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._do(*work)
                del work  # the cache owns the arrays: evicting them must free them while this thread waits
        finally:
            mx.clear_streams()

    def _do(self, tasks: list[Callable[[], object]], job: WriteJob | None) -> None:
        try:
            for task in tasks:
                task()
            if job is not None:
                self._write(job)
        except Exception:
            _log.exception("a file of the prefix cache could not be written")
        finally:
            with self._changed:
                self._busy = False
                self._bytes -= job.nbytes if job is not None else 0
                self._changed.notify_all()

    def _next(self) -> tuple[list[Callable[[], object]], WriteJob | None] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._tasks or self._deadline is not None)
            late = self._deadline is not None and time.monotonic() >= self._deadline
            if late or not (self._jobs or self._tasks):
                return None
            tasks, self._tasks = self._tasks, []
            job = heapq.heappop(self._jobs)[2] if self._jobs else None
            self._busy = True
            return tasks, job
