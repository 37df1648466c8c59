"""The backoff after failed writes: saving resumes after a pause, or once the disk has more room."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_S, _LONGEST_S = 10.0, 600.0


class WriteBackoff:
    """A pause that doubles with each failed write; any thread may ask whether it is active."""

    def __init__(self, free_bytes: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        """`free_bytes` returns the free bytes of the disk, `clock` seconds."""
        self._free_bytes = free_bytes
        self._clock = clock
        self._pause_s = 0.0  # 0: the last write succeeded
        self._until = 0.0
        self._enough = 0  # free bytes that end the pause early

    @property
    def has_failed(self) -> bool:
        """Whether the last write failed."""
        return self._pause_s > 0

    def is_active(self) -> bool:
        """Whether writes are paused now."""
        if not self.has_failed or self._clock() >= self._until:
            return False
        try:
            return self._free_bytes() < self._enough
        except OSError:
            return True

    def record_failure(self, nbytes: int) -> bool:
        """Record a failed write and start the backoff; returns whether the write before succeeded.

        `nbytes` more free bytes end the pause early.
        """
        first = not self.has_failed
        self._pause_s = min(_LONGEST_S, 2 * self._pause_s) if self.has_failed else _FIRST_S
        self._until = self._clock() + self._pause_s
        try:
            self._enough = self._free_bytes() + nbytes
        except OSError:
            self._enough = nbytes
        return first

    def record_success(self) -> bool:
        """Record a successful write and end the backoff; returns whether the write before failed."""
        failed, self._pause_s = self.has_failed, 0.0
        return failed
