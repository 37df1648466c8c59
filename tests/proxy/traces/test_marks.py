from __future__ import annotations

import stat
from pathlib import Path

import pytest

from proxy.traces.marks import Mark, read_marks, remove_mark, set_mark
from tests.proxy.trace_making import trace_of
from tests.proxy.traces.folders import Folder


def test_a_mark_is_there_until_it_is_taken_off(tmp_path: Path) -> None:
    assert read_marks(tmp_path) == {}
    set_mark(tmp_path, "req_1", "the one with ghp_abcdefghijklmnopqrstuvwxyz", now=5.0)
    assert read_marks(tmp_path) == {"req_1": Mark(time=5.0, note="the one with [redacted]")}
    [file] = (tmp_path / ".marks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert remove_mark(tmp_path, "req_1")
    assert not remove_mark(tmp_path, "req_1")
    assert read_marks(tmp_path) == {}


def test_marks_outlive_the_index_and_are_no_traces(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put(trace_of(1))
    set_mark(tmp_path, "req_0001")
    folder.index.close()
    for file in tmp_path.glob("index.sqlite*"):
        file.unlink()
    folder.open()
    assert folder.reconcile() == 1
    assert (folder.ids(), list(read_marks(tmp_path)), folder.notices) == (["req_0001"], ["req_0001"], [])
    folder.index.close()


def test_a_mark_that_cannot_be_read_still_counts(tmp_path: Path) -> None:
    set_mark(tmp_path, "req_1", "why")
    (tmp_path / ".marks" / "req_1.json").write_text("{")
    assert read_marks(tmp_path) == {"req_1": Mark()}


@pytest.mark.parametrize("wrong", ["", "../req_1", "req_1/x"])
def test_only_a_trace_can_be_marked(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="no id of a trace"):
        set_mark(tmp_path, wrong)
    assert list(tmp_path.iterdir()) == []
