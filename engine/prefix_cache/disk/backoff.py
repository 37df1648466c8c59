"""When saving goes on after the disk would not take a file: after a while, or once there is room."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_S, _LONGEST_S = 10.0, 600.0


class WriteBackoff:
    """A pause that doubles with each try that fails; any thread may ask whether it is on."""

    def __init__(self, free_bytes: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        """`free_bytes` tells the bytes that are free on the disk, `clock` seconds."""
        self._free_bytes = free_bytes
        self._clock = clock
        self._pause_s = 0.0  # 0: saving works
        self._until = 0.0
        self._enough = 0  # bytes that have to be free for a try before the pause is over

    @property
    def has_failed(self) -> bool:
        """Whether the last file could not be saved."""
        return self._pause_s > 0

    def is_active(self) -> bool:
        """Whether nothing is to be saved now."""
        if not self.has_failed or self._clock() >= self._until:
            return False
        try:
            return self._free_bytes() < self._enough
        except OSError:
            return True

    def record_failure(self, nbytes: int) -> bool:
        """A file could not be saved, and `nbytes` more room might help; whether the one before was."""
        first = not self.has_failed
        self._pause_s = min(_LONGEST_S, 2 * self._pause_s) if self.has_failed else _FIRST_S
        self._until = self._clock() + self._pause_s
        try:
            self._enough = self._free_bytes() + nbytes
        except OSError:
            self._enough = nbytes
        return first

    def record_success(self) -> bool:
        """A file was saved; whether that could not be done before."""
        failed, self._pause_s = self.has_failed, 0.0
        return failed
