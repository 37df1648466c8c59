"""The recording that the snapshots are drawn from."""

from __future__ import annotations

import gzip

from tests.tui.morning.recording import FILE, morning_recording, packed, unpacked
from tests.tui.morning.story import whole_morning
from tests.tui.morning.traces import whole_traces

MOST_BYTES = 100_000


def test_the_file_is_what_the_recorder_makes_of_the_morning() -> None:
    morning, _ = whole_morning()
    made = packed(morning)
    is_as_kept = gzip.decompress(made) == gzip.decompress(FILE.read_bytes())
    assert is_as_kept, "make morning writes it anew, then make snapshots"
    assert len(made) < MOST_BYTES
    recording = unpacked(made)
    assert (recording.damaged, recording.cut_off) == (0, False)


def test_it_has_each_request_that_ended_as_a_whole() -> None:
    morning, _ = whole_morning()
    recording = morning_recording()
    ended = {
        event.request for event in morning.events if event.type in ("request.finished", "request.failed")
    }
    assert recording.traces.keys() == recording.rows.keys() == ended
    for trace in whole_traces(morning.events):
        kept = recording.traces[trace.id]
        assert kept.usage == trace.usage
        assert sum(part.tokens for part in kept.prompt_parts) == trace.usage.prompt_tokens
        assert kept.upstream == trace.upstream
