"""The queue of span files to read and its thread; each file is read once for all that wait for it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import mlx.core as mx

from engine.prefix_cache.disk.span_files import SpanFile
from engine.prefix_cache.layers import KV, Checkpoint

_log = logging.getLogger(__name__)

OnDone = Callable[[], None]
IsWanted = Callable[[], bool]
Waiter = tuple[OnDone, IsWanted]
Read = Callable[[SpanFile, IsWanted], KV | Checkpoint | None]


def always_wanted() -> bool:
    """For a read that is never cancelled."""
    return True


@dataclass(slots=True, eq=False)
class PendingRead:
    """A file that is being read; `content` stays None if it cannot be used, or all its waiters cancelled."""

    file: SpanFile
    content: KV | Checkpoint | None = None
    done: bool = False
    waiters: list[Waiter] = field(default_factory=list)


class ReadQueue:
    """Files to read, in order of arrival.

    `read` runs on the queue's thread. It returns None for a file that cannot be used, and allocates no arrays
    once its second argument returns false.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._changed = threading.Condition()
        self._waiting: deque[PendingRead] = deque()
        self._open: dict[str, PendingRead] = {}  # by file id, until done
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="cache-loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def load(self, file: SpanFile, on_done: OnDone, is_wanted: IsWanted = always_wanted) -> PendingRead:
        """Queue a file, or join its pending read. `on_done` is called on the thread, also after a failure.

        A file is not loaded if `is_wanted` is false for all that wait for it.
        """
        with self._changed:
            read = self._open.get(file.id)
            if read is None:
                read = self._open[file.id] = PendingRead(file)
                self._waiting.append(read)
                self._changed.notify()
            read.waiters.append((on_done, is_wanted))
            if not self._closing:
                return read
        _notify(self._end(read))
        return read

    def close(self, timeout_s: float) -> None:
        """Stop the thread; files that were not read count as unusable."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while (read := self._next()) is not None:
                waiters = self._load(read)
                # From here on the waiters own the content: evicting it must free it at once.
                del read
                _notify(waiters)
                del waiters
        finally:
            for read in list(self._open.values()):
                _notify(self._end(read))
            mx.clear_streams()

    def _load(self, read: PendingRead) -> list[Waiter]:
        try:
            if self._keep_wanted(read):
                read.content = self._read(read.file, lambda: self._keep_wanted(read))
        except Exception:
            _log.exception("reading the prefix cache's file %s failed", read.file.name)
        return self._end(read)

    def _next(self) -> PendingRead | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return None if self._closing else self._waiting.popleft()

    def _keep_wanted(self, read: PendingRead) -> bool:
        """Whether a request still waits for this read; if none does, close it to later ones."""
        with self._changed:
            wanted = any(is_wanted() for _, is_wanted in read.waiters)
            if not wanted:
                self._close(read)
            return wanted

    def _close(self, read: PendingRead) -> None:
        if self._open.get(read.file.id) is read:
            del self._open[read.file.id]

    def _end(self, read: PendingRead) -> list[Waiter]:
        with self._changed:
            self._close(read)
            read.done = True
            waiters, read.waiters = read.waiters, []
        return waiters


def _notify(waiters: list[Waiter]) -> None:
    for on_done, _ in waiters:
        try:
            on_done()
        except Exception:  # the waiters of other files must still be notified
            _log.exception("a waiter for a file of the prefix cache could not be notified")
