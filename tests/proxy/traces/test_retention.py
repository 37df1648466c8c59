from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.traces import writing
from proxy.traces.files import id_in, time_in, trace_path
from proxy.traces.marks import set_mark
from proxy.traces.retention import (
    ANNOUNCED,
    DAY_S,
    Limits,
    PrunePlan,
    plan_prune,
    prune,
    removal_begins,
)
from proxy.traces.writing import TraceStore
from tests.proxy.trace_making import AT, trace_of
from tests.proxy.traces.folders import Folder

NOW = AT + 40 * DAY_S


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """Five traces of 10, 20, 30, 31 and 39 days ago, each padded to 1000 bytes."""
    made = Folder(tmp_path)
    for number, age in enumerate((39, 31, 30, 20, 10), 1):
        trace = trace_of(number, time=NOW - age * DAY_S + 1)
        made.put(trace)
        file = tmp_path / trace_path(trace.backend, trace.time, trace.id)
        file.write_bytes(file.read_bytes().ljust(1000))
    yield made
    made.index.close()


def removed(plan: PrunePlan) -> list[tuple[int, str]]:
    return [(int((id_in(one.path) or "")[-1]), one.reason) for one in plan.removals]


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        (Limits(), []),
        (Limits(days=30), [(1, "age"), (2, "age")]),
        (Limits(bytes=2500), [(1, "size"), (2, "size"), (3, "size")]),
        (Limits(traces=4), [(1, "count")]),
        (Limits(days=35, bytes=3000, traces=4), [(1, "age"), (2, "size")]),
        (Limits(days=1), [(1, "age"), (2, "age"), (3, "age"), (4, "age"), (5, "age")]),
    ],
)
def test_the_oldest_go_first(folder: Folder, limits: Limits, wanted: list[tuple[int, str]]) -> None:
    plan = plan_prune(folder.path, limits, now=NOW)
    assert removed(plan) == wanted
    assert (plan.kept, plan.kept_bytes, plan.bytes) == (
        5 - len(wanted),
        5000 - plan.bytes,
        1000 * len(wanted),
    )


def test_a_marked_trace_stays_and_counts(folder: Folder) -> None:
    set_mark(folder.path, "req_0001")
    set_mark(folder.path, "req_0005")
    plan = plan_prune(folder.path, Limits(bytes=2000), now=NOW)
    assert removed(plan) == [(2, "size"), (3, "size")]
    assert (plan.kept, plan.marked) == (3, 1)
    assert prune(folder.path, folder.index, plan).traces == 2
    assert folder.ids() == ["req_0005", "req_0004", "req_0001"]


def test_files_rows_and_texts_go_together(folder: Folder) -> None:
    done = prune(folder.path, folder.index, plan_prune(folder.path, Limits(traces=2), now=NOW))
    assert (done.traces, done.bytes, done.failed) == (3, 3000, 0)
    assert folder.ids() == ["req_0005", "req_0004"]
    assert len(list(folder.path.glob("mlx/*.json"))) == 2
    assert folder.index.select("SELECT count(*) FROM texts") == [(2,)]
    assert folder.reconcile() == 0


def test_no_word_of_a_removed_trace_stays_in_the_index(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.put(trace_of(1, text="the zebracrossing"), trace_of(2, text="the kangaroo"))
    made.reopen()
    held = b"".join(file.read_bytes() for file in tmp_path.glob("index.sqlite*"))
    assert b"zebracrossing" in held
    prune(tmp_path, made.index, plan_prune(tmp_path, Limits(traces=1), now=NOW))
    made.index.close()  # and with it the log of what was written
    held = b"".join(file.read_bytes() for file in tmp_path.glob("index.sqlite*"))
    assert b"zebracrossing" not in held
    assert b"kangaroo" in held


def test_a_mark_set_after_the_plan_counts(folder: Folder) -> None:
    plan = plan_prune(folder.path, Limits(traces=4), now=NOW)
    set_mark(folder.path, "req_0001")
    assert prune(folder.path, folder.index, plan).traces == 0
    assert folder.index.page().total == 5


def test_a_mark_set_while_others_are_removed_counts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_prune(folder.path, Limits(traces=2), now=NOW)
    unlink = Path.unlink

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        set_mark(folder.path, "req_0003")

    monkeypatch.setattr(Path, "unlink", unlinked)
    assert prune(folder.path, folder.index, plan).traces == 2
    assert folder.ids() == ["req_0005", "req_0004", "req_0003"]


def test_a_second_name_of_a_folder_and_a_copy_by_hand_do_not_count(folder: Folder) -> None:
    (folder.path / "again").symlink_to(folder.path / "mlx")
    copy = folder.path / "mlx copy"
    shutil.copytree(folder.path / "mlx", copy)
    plan = plan_prune(folder.path, Limits(bytes=5000), now=NOW)
    assert (plan.kept, plan.removals) == (5, [])
    assert folder.reconcile() == 0
    assert len(list(copy.iterdir())) == 5


def test_what_another_process_has_removed_is_no_trouble(folder: Folder) -> None:
    plan = plan_prune(folder.path, Limits(traces=4), now=NOW)
    (folder.path / plan.removals[0].path).unlink()
    assert prune(folder.path, folder.index, plan).failed == 0
    assert folder.index.page().total == 4


def test_what_cannot_be_removed_is_counted_and_keeps_its_row(folder: Folder) -> None:
    plan = plan_prune(folder.path, Limits(traces=4), now=NOW)
    file = folder.path / plan.removals[0].path
    file.unlink()
    file.mkdir()
    done = prune(folder.path, folder.index, plan)
    assert (done.traces, done.failed) == (0, 1)
    assert done.error
    assert folder.index.page().total == 5


def test_it_can_be_stopped(folder: Folder) -> None:
    plan = plan_prune(folder.path, Limits(traces=1), now=NOW)
    assert prune(folder.path, folder.index, plan, stopped=lambda: True).traces == 0
    assert folder.index.page().total == 5


async def test_a_first_removal_is_announced_a_week_ahead(folder: Folder) -> None:
    for _ in range(2):
        store = TraceStore(folder.path, limits=Limits(traces=2), notice=folder.notices.append)
        store.reconcile()
        assert store._background is not None
        await asyncio.to_thread(store._background.join)
        await asyncio.to_thread(store._prune)  # an hour later: said once a start
        await store.close()
    assert len(folder.ids()) == 5
    assert [notice.partition(" and will be removed from ")[0] for notice in folder.notices] == [
        "3 traces (3 kB) are beyond the newest 2"
    ] * 2


@pytest.mark.parametrize(
    ("noted", "begins"),
    [(None, NOW + 7 * DAY_S), (str(NOW - 1), NOW - 1 + 7 * DAY_S), ("", NOW + 7 * DAY_S)],
    ids=["never", "before", "half written"],
)
def test_a_week_runs_from_the_announcement(tmp_path: Path, noted: str | None, begins: float) -> None:
    if noted is not None:
        (tmp_path / ANNOUNCED).write_text(noted)
    assert removal_begins(tmp_path, now=NOW) == begins
    assert removal_begins(tmp_path, now=NOW + 5) == begins


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(days=30, bytes=10_000_000_000), "30 days and 10 GB"),
        (Limits(days=1, traces=1), "1 day and the newest 1"),
        (Limits(days=0.5, bytes=1_500_000_000), "12 hours and 1.5 GB"),
        (Limits(days=1 / 1440, bytes=500_000_000), "1 minute and 500 MB"),
        (Limits(days=5000, bytes=1000), "5,000 days and 1 kB"),
        (Limits(bytes=999_999_600), "1,000 MB"),
        (Limits(bytes=7), "7 bytes"),
        (Limits(), "no limit"),
    ],
)
def test_limits_are_told_in_units_that_people_read(limits: Limits, words: str) -> None:
    assert str(limits) == words


def test_an_announcement_of_a_later_time_counts_anew(tmp_path: Path) -> None:
    assert removal_begins(tmp_path, now=NOW + 400 * DAY_S) == NOW + 407 * DAY_S
    assert removal_begins(tmp_path, now=NOW) == NOW + 7 * DAY_S


async def test_a_host_stays_within_its_limits_and_tells_what_it_removed(folder: Folder) -> None:
    (folder.path / ANNOUNCED).write_text("0")
    store = TraceStore(folder.path, limits=Limits(traces=2), notice=folder.notices.append)
    store.reconcile()
    assert store._background is not None
    await asyncio.to_thread(store._background.join)
    await store.close()
    assert folder.ids() == ["req_0005", "req_0004"]
    assert folder.notices == [
        "3 old traces (3 kB) were removed, to stay within the newest 2; 2 are left (2 kB)"
    ]


async def test_a_host_that_runs_for_long_prunes_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PRUNE_EVERY_S", -1.0)
    (folder.path / ANNOUNCED).write_text("0")
    store = TraceStore(folder.path, limits=Limits(traces=2), notice=folder.notices.append)
    await store.write(trace_of(6, time=NOW))
    assert store._background is not None
    await asyncio.to_thread(store._background.join)
    await store.close()
    assert folder.ids() == ["req_0006", "req_0005"]


@given(st.floats(0, 4e9))
def test_a_files_name_tells_its_time(at: float) -> None:
    assert time_in(trace_path("mlx", at, "req_1")) == pytest.approx(at, abs=0.0011)


@pytest.mark.parametrize("name", ["x.json", "20261399T000000.000Z-req_1.json"])
def test_a_name_without_a_time_has_none(name: str) -> None:
    assert time_in(name) is None


def test_a_name_without_a_time_goes_by_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "mlx").mkdir()
    file = tmp_path / "mlx" / "20261399T000000.000Z-req_1.json"
    file.write_text("{}")
    os.utime(file, (NOW, NOW))
    assert plan_prune(tmp_path, Limits(days=1), now=NOW + 1).removals == []
    assert len(plan_prune(tmp_path, Limits(days=1), now=NOW + 2 * DAY_S).removals) == 1
