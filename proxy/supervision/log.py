"""The engine's log: a file with all lines of its stderr, the last lines in memory, and events for screens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

from engine.process.private_files import open_private, private_folder

KEPT_LINES = 200
LONGEST_LINE = 4_000  # characters; the file has the whole line
EMITTED_PER_SECOND = 50  # lines; the file has all, and the rest is counted


class EngineLog:
    """Receives lines on the event loop.

    Args:
        path: the file; at `rotate_bytes` it is renamed to `.1`, an older `.1` to `.2` and so on.
        emit: gets each line for the screens.
        notice: gets warnings for the user, such as a full disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        emit: Callable[[str], None],
        notice: Callable[[str], None],
        rotate_bytes: int = 4 * 1024 * 1024,
        keep_files: int = 3,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=KEPT_LINES)
        self.tail_times: deque[float] = deque(maxlen=KEPT_LINES)  # epoch seconds, a line each
        self._clock = clock
        self._emit = emit
        self._notice = notice
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._monotonic = monotonic
        self._file: IO[bytes] | None = None
        self._broken = False
        self._second = -1
        self._emitted = 0

    def add(self, line: str) -> None:
        """Add one line, without its line break."""
        # A progress bar redraws itself; its last state is the line.
        line = line.rstrip().rpartition("\r")[2]
        if not line:
            return
        self._write(line)
        if len(line) > LONGEST_LINE:
            line = f"{line[:LONGEST_LINE]} [… {len(line) - LONGEST_LINE} more characters in {self.path}]"
        self.tail.append(line)
        self.tail_times.append(self._clock())
        self._emit_limited(line)

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _emit_limited(self, line: str) -> None:
        second = int(self._monotonic())
        if second != self._second:
            if self._emitted > EMITTED_PER_SECOND:
                self._emit(f"[{self._emitted - EMITTED_PER_SECOND} more lines in {self.path}]")
            self._second, self._emitted = second, 0
        self._emitted += 1
        if self._emitted <= EMITTED_PER_SECOND:
            self._emit(line)

    def _write(self, line: str) -> None:
        try:
            if self._file is None:
                private_folder(self.path.parent)
                self._file = open_private(self.path, "ab")
            self._file.write(line.encode("utf-8", "replace") + b"\n")
            self._file.flush()
            if self._file.tell() >= self._rotate_bytes:
                self._rotate()
        except OSError as error:
            self.close()
            if not self._broken:
                self._notice(f"the engine's log cannot be written ({error.strerror or error}: {self.path})")
            self._broken = True
        else:
            self._broken = False

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep_files - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
