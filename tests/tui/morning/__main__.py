"""Writes the recording of the morning: `python -m tests.tui.morning`."""

from __future__ import annotations

from tests.tui.morning.recording import FILE, packed
from tests.tui.morning.story import whole_morning

if __name__ == "__main__":
    morning, _ = whole_morning()
    FILE.write_bytes(packed(morning))
    print(f"{FILE}: {FILE.stat().st_size:,} bytes, {len(morning.events):,} events")
