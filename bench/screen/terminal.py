"""A terminal whose reading is measured: it counts what a program writes, and can be a slow link."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyte

from bench.child import clean_environment, poll

COLUMNS, LINES = 120, 40
QUIET_S = 0.08  # without a byte: what was asked for has been drawn
_PIECE_S = 0.02  # of a slow link


class MeasuredTerminal:
    """A program in a terminal of 120 × 40; `bytes_per_s` 0 reads as fast as it can."""

    def __init__(self, process: subprocess.Popen[bytes], controller: int, bytes_per_s: int) -> None:
        self.process = process
        self.written = 0  # bytes
        self._at_key = 0  # bytes written then
        self._controller = controller
        self._bytes_per_s = bytes_per_s
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def text(self) -> str:
        """The screen, a line of text for each of its own."""
        with self._lock:
            return "\n".join(self._screen.display)

    def press(self, keys: str) -> None:
        """Send keys."""
        self._at_key = self.written
        os.write(self._controller, keys.encode())

    def wait_for(self, pattern: str, *, every_s: float = 0.02) -> None:
        """Wait until the screen shows `pattern`.

        Raises:
            TimeoutError: it does not in a minute.
        """
        poll(lambda: re.search(pattern, self.text), timeout_s=60, every_s=every_s, what=pattern)

    def wait_until_quiet(self, *, after_more: bool = False) -> None:
        """Wait until nothing has been written for a while, and before that for something since the last key.

        Raises:
            TimeoutError: there is always something, or nothing.
        """
        if after_more:
            poll(lambda: self.written > self._at_key, timeout_s=60, what="an answer to a key")
        poll(lambda: time.monotonic() - self._last > QUIET_S, timeout_s=60, what="a quiet screen")

    def cpu_s(self) -> float:
        """Processor seconds of the program so far, all its threads."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        if not tasks.is_dir():  # not Linux, whose usual account has steps of 10 ms
            times = psutil.Process(self.process.pid).cpu_times()
            return float(times.user + times.system)
        total = 0
        for task in tasks.iterdir():
            with suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def close(self) -> None:
        """End the program."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reading.join(10)
        os.close(self._controller)

    def _read(self) -> None:
        while True:
            size = round(self._bytes_per_s * _PIECE_S) or 65_536
            try:
                data = os.read(self._controller, size)
            except OSError:  # Linux: the program has ended
                return
            if not data:
                return
            self._last = time.monotonic()
            with self._lock:
                self.written += len(data)
                self._stream.feed(data)
            if self._bytes_per_s:
                time.sleep(len(data) / self._bytes_per_s)


@contextmanager
def measured_terminal(
    command: Sequence[str], folder: Path, *, bytes_per_s: int = 0, environ: Mapping[str, str] | None = None
) -> Iterator[MeasuredTerminal]:
    """Run `command` in a terminal; it is ended with the block."""
    controller, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    own = {"HOME": str(folder), "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLORFGBG": "15;0"}
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env=clean_environment(**own, **(environ or {})),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    terminal = MeasuredTerminal(process, controller, bytes_per_s)
    try:
        yield terminal
    finally:
        terminal.close()
