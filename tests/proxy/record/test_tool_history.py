from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy.record.tool_history import ToolHistory
from proxy.traces.redaction.redact import Redactor
from proxy.translate.late_tools.shown_tools import ShownTools, ToolChange


def function(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {}, **fields}}


READ, WRITE = function("Read"), function("Write")
SHOWN = ShownTools((READ,), (ToolChange("p1", (WRITE,), ("Edit",), ("Read",)),), {"Write": WRITE}, ("p0",))


def test_a_later_host_knows_what_was_shown(tmp_path: Path) -> None:
    history = ToolHistory(tmp_path)
    history.keep("key", SHOWN)
    asyncio.run(history.close())
    assert ToolHistory(tmp_path).of("key") == (SHOWN,)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_request_takes_the_place_of_its_conversations_earlier_one(tmp_path: Path) -> None:
    history = ToolHistory(tmp_path)
    other = ShownTools((WRITE,), ends=("p0",))
    history.keep("key", SHOWN)
    history.keep("key", other)
    history.keep("key", SHOWN.ending_at("p2"))
    assert history.of("key") == (SHOWN.ending_at("p2"), other)


def test_the_oldest_conversations_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.record.tool_history._MOST_FILES", 2)
    monkeypatch.setattr("proxy.record.tool_history._MOST_IN_MEMORY", 1)
    history = ToolHistory(tmp_path)
    for key in ("a", "b", "c"):
        history.keep(key, SHOWN)
    asyncio.run(history.close())
    assert len(list(tmp_path.iterdir())) == 2
    assert history.of("c") == (SHOWN,)


def test_what_is_kept_is_known_before_it_is_written_and_written_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.record.tool_history._MOST_IN_MEMORY", 1)
    written: list[str] = []
    may_write = threading.Event()

    def write(path: Path, content: bytes) -> None:
        may_write.wait(20)
        written.append(path.stem)

    monkeypatch.setattr("proxy.record.tool_history.write_private", write)
    history = ToolHistory(tmp_path)
    for key in ("a", "b"):
        history.keep(key, SHOWN)
    history.keep("a", ShownTools((WRITE,), ends=("p0",)))
    history.keep("c", SHOWN)  # and so nothing of the others is in memory
    assert len(history.of("a")) == 2
    assert history.of("b") == (SHOWN,)
    assert written == []
    may_write.set()
    asyncio.run(history.close())
    assert written == ["a", "b", "a", "c"]


def test_what_holds_a_secret_stays_in_memory(tmp_path: Path) -> None:
    history = ToolHistory(tmp_path, Redactor(["hunter2-hunter2"]))
    shown = ShownTools((function("Read", description="key hunter2-hunter2"),), ends=("p0",))
    history.keep("key", shown)
    asyncio.run(history.close())
    assert history.of("key") == (shown,)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{}", b"[{}]", b'[{"head": [1], "ends": []}]', b"[null]"])
def test_a_damaged_file_is_written_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "key.json").write_bytes(content)
    history = ToolHistory(tmp_path)
    assert history.of("key") == ()
    history.keep("key", SHOWN)
    asyncio.run(history.close())
    assert ToolHistory(tmp_path).of("key") == (SHOWN,)


def test_a_disk_that_cannot_be_written_costs_the_file_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    history = ToolHistory(blocked)
    history.keep("key", SHOWN)
    asyncio.run(history.close())
    assert history.of("key") == (SHOWN,)
    assert "cannot" in caplog.text
