"""A trace and events that a host of schema version 1 wrote are read without a loss.

Both come from the bundled model and a request that was made up for them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from proxy.events.types import PAYLOADS, Event
from proxy.traces.analysis.analysis import analyze
from proxy.traces.analysis.sums import Choice
from proxy.traces.files import trace_path
from proxy.traces.reading import load_trace
from tests.proxy.traces.folders import Folder
from tui.client.store import Store

DATA = Path(__file__).parent / "data"
TRACE = json.loads((DATA / "trace-version-1.json").read_text("utf-8"))
EVENTS = (DATA / "events-version-1.jsonl").read_text("utf-8").splitlines()


def with_fields_of(old: Any, now: Any) -> Any:
    """What is there `now`, with the fields that `old` had: later ones are added."""
    if isinstance(old, dict):
        return {name: with_fields_of(value, now[name]) for name, value in old.items()}
    return now


def test_a_trace_is_read_listed_and_summed_with_all_of_its_fields(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "traces")
    path = folder.path / trace_path(TRACE["backend"], TRACE["time"], TRACE["id"])
    path.parent.mkdir(mode=0o700, parents=True)
    shutil.copyfile(DATA / "trace-version-1.json", path)
    assert folder.reconcile() == 1
    later = {
        "usage_estimated": False,
        "retry_of": "",
        "prompt_parts": [],
        "written": [],
    }  # fields that it did not have
    found = load_trace(folder.path, TRACE["id"]).model_dump(mode="json")
    assert with_fields_of(TRACE, found) == TRACE
    assert {name: found[name] for name in found.keys() - TRACE.keys()} == later
    total = analyze(folder.index, Choice(), {}).total
    assert (total.requests, total.created, total.output) == (1, 29, 23)
    assert folder.notices == []
    folder.index.close()


def test_events_have_all_of_their_fields_and_make_the_screens_state() -> None:
    store = Store()
    for line in EVENTS:
        event = Event.model_validate_json(line)
        assert event.type in PAYLOADS
        payload = event.payload()
        assert payload is not None
        dumped = payload.model_dump(mode="json")
        assert with_fields_of(event.data, dumped) == event.data
        store.take(event)
    snapshot = store.snapshot()
    assert snapshot.damaged == 0
    assert [(one.phase, one.prompt_tokens, one.reused_tokens) for one in snapshot.requests] == [
        ("done", 29, 0),
        ("done", 62, 52),
    ]
    # The second request was made up with a call of its own.
    assert {call.id for call in snapshot.tools} == {TRACE["tool_calls"][0]["id"], "toolu_1"}
