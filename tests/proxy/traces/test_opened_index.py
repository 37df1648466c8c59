from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from proxy.traces import index_tables
from proxy.traces.index import INDEX_NAME
from proxy.traces.opened_index import opened_index
from proxy.traces.reading import TraceUnreadable, read_trace
from tests.proxy.trace_making import trace_of
from tests.proxy.traces.folders import Folder


def test_what_is_new_in_the_folder_is_in_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put(trace_of(1))
    folder.write(trace_of(2))
    with opened_index(tmp_path, notice=folder.notices.append) as index:
        assert [row.id for row in index.page().traces] == ["req_0002", "req_0001"]
    folder.index.close()


def test_a_locked_index_is_told_and_the_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_tables, "LOCKED_S", 0.01)
    folder = Folder(tmp_path)
    folder.put(trace_of(1))
    folder.write(trace_of(2))
    other = sqlite3.connect(tmp_path / INDEX_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with opened_index(tmp_path, notice=folder.notices.append) as index:
        assert [row.id for row in index.page().traces] == ["req_0002", "req_0001"]
    other.close()
    assert folder.ids() == ["req_0001"]
    assert "database is locked" in folder.notices[0]
    folder.index.close()


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put(trace_of(1))
    folder.index.close()
    (tmp_path / INDEX_NAME).write_bytes(b"no database at all, " * 500)
    with opened_index(tmp_path, notice=folder.notices.append) as index:
        assert [row.id for row in index.page().traces] == ["req_0001"]
    assert "rebuilt from the trace files" in folder.notices[0]


def test_what_would_never_end_or_not_fit_is_left_out_with_a_line(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put(trace_of(1))
    names = [f"20260101T00000{place}.000Z-req_{place}.json" for place in range(4)]
    pipe, zero, large, inner = (tmp_path / "mlx" / name for name in names)
    os.mkfifo(pipe)
    zero.symlink_to("/dev/zero")
    with large.open("wb") as file:
        file.truncate(2 << 30)  # takes no room
    inner.mkdir()
    with opened_index(tmp_path, notice=folder.notices.append) as index:
        assert [row.id for row in index.page().traces] == ["req_0001"]
    assert len(folder.notices) == 4
    assert all("left out of the list" in notice for notice in folder.notices)
    for path in (pipe, zero, large, inner):
        with pytest.raises(TraceUnreadable, match="cannot be read"):
            read_trace(path)
    folder.index.close()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with opened_index(tmp_path / "none", notice=print) as index:
        assert index.page().total == 0
    assert not (tmp_path / "none").exists()
