"""The terminal belongs to the screen alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tui.screen.output_redirect import _Terminal, is_writing

PROGRAM = """
import os, sys
from pathlib import Path
from tui.screen.output_redirect import redirect_output
print("before", flush=True)
with redirect_output(Path(sys.argv[1])):
    os.write(1, b"a library prints\\n")
    os.write(2, b"a child complains\\n")
    print("print")
    sys.__stderr__.write(f"drawn on {os.get_terminal_size(sys.__stdout__.fileno()).columns} columns\\n")
    sys.__stderr__.flush()
print("after", flush=True)
"""


@pytest.mark.parametrize("stderr_elsewhere", [False, True])
def test_only_the_screen_reaches_the_terminal_meanwhile(tmp_path: Path, stderr_elsewhere: bool) -> None:
    log = tmp_path / "screen.log"
    master, slave = pty.openpty()
    try:
        with (
            (tmp_path / "stderr").open("wb") as other,
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(log)],
                stdin=slave,
                stdout=slave,
                stderr=other if stderr_elsewhere else slave,
            ) as process,
        ):
            assert process.wait(20) == 0
        os.close(slave)
        drawn = os.read(master, 65_536).decode().splitlines()
    finally:
        os.close(master)
    assert drawn == ["before", "drawn on 0 columns", "after"]
    assert sorted(log.read_text().splitlines()) == ["a child complains", "a library prints", "print"]
    assert (tmp_path / "stderr").read_bytes() == b""
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_write_that_waits_is_seen(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(writing, "wb") as raw, _Terminal(raw, encoding="utf-8") as terminal:
        assert not is_writing(terminal)
        thread = threading.Thread(target=lambda: (terminal.write("x" * 200_000), terminal.flush()))
        thread.start()
        while not is_writing(terminal):
            thread.join(0.01)
        left = 200_000
        while left:
            left -= len(os.read(reading, left))
        thread.join(20)
        assert not is_writing(terminal)
    os.close(reading)
    assert not is_writing(sys.stderr)
