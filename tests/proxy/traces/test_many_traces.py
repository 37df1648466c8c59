"""A start with many traces holds few of them at once, and finds what it found with few."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.traces.files import count_traces, gone, trace_files, trace_path
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.metrics import cache_metrics, known_ids, line_files
from proxy.traces.metrics.cache_metrics import METRICS_FOLDER, CacheMetrics
from proxy.traces.metrics.known_ids import KnownIds
from tests.proxy.trace_making import trace_of
from tests.proxy.traces.folders import Folder

MANY, PAGE = 2_300, 1_000


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "traces")
    yield made
    made.index.close()


@pytest.fixture
def pages_of_the_index(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each question to an index got."""
    found: list[int] = []
    select = TraceIndex.select

    def counting(
        index: TraceIndex, statement: str, parameters: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        rows = select(index, statement, parameters)
        found.append(len(rows))
        return rows

    monkeypatch.setattr(TraceIndex, "select", counting)
    return found


def test_no_step_of_a_start_has_more_than_a_page_in_memory(
    folder: Folder, tmp_path: Path, pages_of_the_index: list[int]
) -> None:
    folder.index.put(
        IndexEntry.of(trace, trace_path("mlx", trace.time, trace.id), 1)
        for trace in map(trace_of, range(MANY))
    )
    for path in [path for page in folder.index.paths() for path in page]:
        (folder.path / path).parent.mkdir(exist_ok=True)
        (folder.path / path).touch()
    for started in (MANY, 0):
        metrics = CacheMetrics(tmp_path / METRICS_FOLDER, notice=folder.notices.append)
        assert metrics.collect(folder.index) == started
        assert folder.reconcile() == 0
    assert PAGE // 2 < max(pages_of_the_index) <= PAGE
    assert sum(pages_of_the_index) > 4 * MANY
    assert len(set(folder.ids(limit=PAGE))) == PAGE
    assert folder.notices == []


@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_lines_are_the_same_however_small_the_pages_are(
    folder: Folder, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_metrics, "_PAGE", size)
    monkeypatch.setattr(known_ids, "_RECENT", 3)
    folder.put(*(trace_of(number, time=3e6 * (number % 3) + number) for number in range(1, 41)))
    metrics = CacheMetrics(tmp_path / METRICS_FOLDER, notice=folder.notices.append)
    assert (metrics.collect(folder.index, "req_0007"), metrics.collect(folder.index)) == (1, 39)
    assert (metrics.collect(folder.index), metrics.collect(folder.index, "req_0007")) == (0, 0)
    with_all = metrics.sums()
    assert (with_all.total.requests, len(with_all.days)) == (40, 3)


def test_where_the_metrics_cannot_be_written_one_page_tries_and_all_are_kept(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_metrics, "_PAGE", 4)
    tried: list[int] = []
    add = line_files.RequestLines.add

    def counted(lines: line_files.RequestLines, rows: Any) -> int:
        tried.append(len(rows))
        return add(lines, rows)

    monkeypatch.setattr(line_files.RequestLines, "add", counted)
    folder.put(*map(trace_of, range(1, 11)))
    (tmp_path / METRICS_FOLDER).write_text("in the way")
    metrics = CacheMetrics(tmp_path / METRICS_FOLDER, notice=folder.notices.append)
    assert metrics.collect(folder.index) == 0
    assert tried == [4]
    assert metrics.sums().total.requests == 10


def test_known_ids_are_those_that_were_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_ids, "_RECENT", 50)
    chance = random.Random(3)
    ids = [f"req_{chance.getrandbits(48):x}" for _ in range(1_000)]
    known = KnownIds(ids[:333])
    for one in ids[333:500]:
        known.add(one)
    assert all(one in known for one in ids[:500])
    assert not any(one in known for one in ids[500:])
    assert "" not in known


class TestFiles:
    def test_files_of_several_backends_come_by_time(self, folder: Folder) -> None:
        traces = [trace_of(number, backend=("mlx", "openai", "zai")[number % 3]) for number in range(1, 30)]
        paths = [folder.write(trace) for trace in traces]
        assert list(trace_files(folder.path)) == paths[::-1]
        size = sum((folder.path / path).stat().st_size for path in paths)
        assert count_traces(folder.path) == (29, size)

    def test_what_is_not_listed_is_not_counted_and_counts_as_gone(self, folder: Folder) -> None:
        kept, lost = folder.write(trace_of(1)), folder.write(trace_of(2))
        (folder.path / lost).unlink()
        (folder.path / "again").symlink_to(folder.path / "mlx")
        (folder.path / "mlx" / "notes.txt").write_text("mine")
        (folder.path / "a copy").mkdir()
        (folder.path / "a copy" / Path(kept).name).write_text("{}")
        others = [kept.replace("mlx/", "again/"), kept.replace("mlx/", "a copy/"), "mlx/notes.txt", "mlx", ""]
        assert list(trace_files(folder.path)) == [kept]
        assert count_traces(folder.path)[0] == 1
        assert gone(folder.path, [kept, lost, *others]) == [lost, *others]

    def test_a_trace_that_has_moved_keeps_its_row(self, folder: Folder) -> None:
        folder.put(trace_of(1), trace_of(2))
        (folder.path / "mlx").rename(folder.path / "openai")
        assert folder.reconcile() == 2
        assert [row.path.partition("/")[0] for row in folder.index.page().traces] == ["openai", "openai"]

    def test_a_folder_that_is_not_there_has_none(self, tmp_path: Path) -> None:
        assert count_traces(tmp_path / "nowhere") == (0, 0)
        assert gone(tmp_path / "nowhere", ["mlx/a.json"]) == ["mlx/a.json"]
