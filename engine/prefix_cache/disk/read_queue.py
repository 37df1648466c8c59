"""The thread that reads span files, each once however many wait for it."""

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


@dataclass(slots=True, eq=False)
class PendingRead:
    """A file that is being read; `content` stays None where it cannot be used."""

    file: SpanFile
    content: KV | Checkpoint | None = None
    done: bool = False
    listeners: list[OnDone] = field(default_factory=list)


class ReadQueue:
    """A queue of files to read; `read` runs on the thread and returns None for what it cannot use."""

    def __init__(self, read: Callable[[SpanFile], KV | Checkpoint | None]) -> None:
        self._read = read
        self._changed = threading.Condition()
        self._waiting: deque[PendingRead] = deque()
        self._open: dict[str, PendingRead] = {}  # by file id, until done
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="cache-loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def load(self, file: SpanFile, on_done: OnDone) -> PendingRead:
        """Read a file, or wait for it with those who asked before; `on_done` is called on the thread."""
        with self._changed:
            loading = self._open.get(file.id)
            if loading is None:
                loading = self._open[file.id] = PendingRead(file)
                self._waiting.append(loading)
                self._changed.notify()
            loading.listeners.append(on_done)
            if not self._closing:
                return loading
        self._end(loading)
        return loading

    def close(self, timeout_s: float) -> None:
        """End the thread; what was not read counts as unusable."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while (loading := self._next()) is not None:
                try:
                    loading.content = self._read(loading.file)
                except Exception:
                    _log.exception("a file of the prompt cache could not be read")
                self._end(loading)
        finally:
            for loading in list(self._open.values()):
                self._end(loading)
            mx.clear_streams()

    def _next(self) -> PendingRead | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return None if self._closing else self._waiting.popleft()

    def _end(self, loading: PendingRead) -> None:
        with self._changed:
            self._open.pop(loading.file.id, None)
            loading.done = True
            listeners, loading.listeners = loading.listeners, []
        for on_done in listeners:
            try:
                on_done()
            except Exception:  # those who wait for other files must not wait for ever
                _log.exception("who waited for a file of the prompt cache could not be told")
