"""A program in a terminal of its own, driven as a person would: wait for what the screen shows, press keys.

The terminal is a pty; what the program draws goes through pyte, which keeps the screen as a person sees it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyte

COLUMNS, LINES = 120, 45
_SIZE = ("COLUMNS", "LINES")  # of another terminal, or of a test runner, which programs believe first
ENTER, ESCAPE, UP, DOWN, CTRL_C = "\r", "\x1b", "\x1b[A", "\x1b[B", "\x03"
TRIES, LISTENS_WITHIN_S = 4, 5.0

Modes = tuple[frozenset[int], list[Any]]  # of the screen (as pyte numbers them), of the line (termios)

# Makes the pty on stdin the program's controlling terminal: with it come ctrl+c and /dev/tty.
_LAUNCH = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class _AnsweringScreen(pyte.Screen):
    """A screen that answers what the program asks its terminal."""

    def __init__(self, answer: Callable[[str], None]) -> None:
        self._answer = answer
        super().__init__(COLUMNS, LINES)

    def write_process_input(self, data: str) -> None:
        self._answer(data)

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        """No color is private: an editor asks for modes of the keyboard so, which pyte does not know."""
        if not private:
            super().select_graphic_rendition(*attributes)


class TerminalSession:
    """A program that runs in a terminal; made by `terminal_session`."""

    def __init__(self, process: subprocess.Popen[bytes], controller: int) -> None:
        self.process = process
        self._controller = controller
        self._screen = _AnsweringScreen(self.press)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition(threading.RLock())
        self._ended = False
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def text(self) -> str:
        """The screen, a line of text for each of its own."""
        with self._changed:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def modes(self) -> Modes:
        """What the program has set in its terminal: the modes of the screen, and those of the line."""
        with self._changed:
            return frozenset(self._screen.mode), termios.tcgetattr(self._controller)

    def press(self, keys: str) -> None:
        """Send keys, or the answer to a question of the program's."""
        try:
            os.write(self._controller, keys.encode())
        except OSError:
            pass  # the program has ended; whoever waits for it is told

    def type_line(self, text: str) -> None:
        """Type a line, see it, and press enter."""
        self.press(text)
        self.wait_for(re.escape(text))
        self.press(ENTER)

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question and press keys until it is gone: a dialog is drawn before it listens."""
        self.wait_for(question)
        for _ in range(TRIES):
            self.press(keys)
            if self._is_gone(question):
                return
        raise AssertionError(f"{keys!r} does not answer {question!r}\n{self.text}")

    def wait_for(self, pattern: str, *, unless: str = "", timeout_s: float = 60.0) -> re.Match[str]:
        """Wait until the screen shows `pattern`.

        Raises:
            AssertionError: it does not in time, the program ends first, or the screen shows `unless`.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if unless and re.search(unless, self.text):
                    raise AssertionError(f"the screen shows {unless!r}\n{self.text}")
                if found := re.search(pattern, self.text):
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    how = "the program ended" if self._ended else f"{timeout_s:.0f} s passed"
                    raise AssertionError(f"{how} without {pattern!r} on the screen\n{self.text}")
                self._changed.wait(left)

    def close(self) -> None:
        """End the program and whatever it has started in this terminal."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reading.join(10)
        os.close(self._controller)

    def wait_until_ended(self, timeout_s: float = 30.0) -> int:
        """The program's exit code, once it has ended by itself."""
        return self.process.wait(timeout_s)

    def _is_gone(self, pattern: str) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: self._ended or not re.search(pattern, self.text), timeout=LISTENS_WITHIN_S
            )

    def _read(self) -> None:
        while data := self._received():
            with self._changed:
                self._stream.feed(data)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _received(self) -> bytes:
        try:
            return os.read(self._controller, 65536)
        except OSError:  # Linux says so when the program's side is closed
            return b""


@contextmanager
def terminal_session(
    command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]
) -> Iterator[TerminalSession]:
    """Run `command` (its first word is a path) in a terminal; it is ended with the block."""
    controller, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *command],
        cwd=cwd,
        env={
            **{name: value for name, value in environ.items() if name not in _SIZE},
            "TERM": "xterm-256color",
        },
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    session = TerminalSession(process, controller)
    try:
        yield session
    finally:
        session.close()
