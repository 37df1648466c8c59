"""Writes the demo to the file that is named: `python -m tests.tui.demo FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from proxy.recordings.writing import RecordingWriter
from tests.tui.demo.plot import write_demo
from tests.tui.demo.story import START, VERSION

if __name__ == "__main__":
    path = Path(sys.argv[1])
    with path.open("wb") as file:
        writer = RecordingWriter(file, version=VERSION, made=START, about="demo")
        write_demo(writer)
        writer.close()
    print(f"{path}: {path.stat().st_size:,} bytes, {writer.events:,} events")
