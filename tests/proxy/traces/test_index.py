from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, get_args

import pytest

from proxy.events.types import CacheMiss, CacheVerdict, Timings, Usage
from proxy.traces import index_tables
from proxy.traces.analysis.analysis import analyze
from proxy.traces.export.exporting import ExportFormat, export
from proxy.traces.files import trace_path
from proxy.traces.index import INDEX_NAME, IndexEntry, TraceIndex
from proxy.traces.index_tables import INDEX_VERSION, make_tables
from proxy.traces.opened_index import asked_index
from proxy.traces.reading import read_trace
from proxy.traces.redaction.redact import Redactor
from proxy.traces.schema import TraceResponse
from proxy.traces.writing import TraceStore
from tests.proxy.trace_making import AT, body_of, call_of, trace_of
from tests.proxy.traces.folders import Folder

PAGE = 4096  # bytes, of SQLite
LEAF = b"\x0a"  # the first byte of a leaf of a table without row ids
MISSED = CacheVerdict(prompt_tokens=9, miss=CacheMiss(reason="cold"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "traces")
    yield made
    made.index.close()


def test_a_row_tells_what_the_list_shows(folder: Folder) -> None:
    folder.put(trace_of(1, tool_calls=[call_of(is_error=True), call_of("toolu_2")]))
    [row] = folder.index.page().traces
    assert (row.id, row.time, row.session, row.status, row.stop_reason) == (
        "req_0001", AT + 1, "session-a", 200, "end_turn",
    )  # fmt: skip
    assert (row.messages, row.tools, row.stream, row.preview) == (1, 1, True, "Who are you?")
    assert (row.ttft_s, row.duration_s, row.usage.output_tokens) == (0.5, 2.0, 5)
    assert (row.tool_calls, row.tool_errors) == (2, 1)
    assert (folder.path / row.path).exists()


def test_pages_run_from_the_newest_to_the_oldest_without_gaps(folder: Folder) -> None:
    folder.put(*[trace_of(number, time=AT + number // 3) for number in range(1, 11)])
    seen: list[str] = []
    while rows := folder.ids(limit=4, before=seen[-1] if seen else ""):
        seen += rows
    assert seen == [f"req_{number:04d}" for number in range(10, 0, -1)]
    assert folder.index.page(limit=4).total == 10


@pytest.mark.parametrize("query", ["", "session-a"])
def test_a_page_may_begin_anywhere(folder: Folder, query: str) -> None:
    folder.put(*[trace_of(number, time=AT + number // 3) for number in range(1, 11)])
    assert folder.ids(limit=4, offset=8, query=query) == ["req_0002", "req_0001"]
    assert folder.ids(limit=2, offset=1, before="req_0006", query=query) == ["req_0004", "req_0003"]
    assert folder.ids(offset=10, query=query) == []
    assert folder.index.page(limit=1, offset=9, query=query).total == 10
    assert folder.index.path_of("req_0004") == folder.index.page(limit=1, offset=6).traces[0].path
    assert folder.index.path_of("req_0404") is None


def test_before_may_be_a_time(folder: Folder) -> None:
    folder.put(*[trace_of(number) for number in range(1, 5)])
    assert folder.ids(before=str(AT + 3)) == ["req_0002", "req_0001"]


def test_a_page_may_end_with_a_foreign_id(folder: Folder) -> None:
    folder.put(trace_of(1), trace_of(2, id="from-elsewhere"), trace_of(3))
    assert folder.ids(limit=2) == ["req_0003", "from-elsewhere"]
    assert folder.ids(before="from-elsewhere") == ["req_0001"]


@pytest.mark.parametrize("before", ["yesterday", "req_unknown"])
def test_a_place_that_is_none_is_an_error(folder: Folder, before: str) -> None:
    with pytest.raises(ValueError, match=before):
        folder.index.page(before=before)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {1, 2, 3}),
        ("JOKE", {2}),
        ("subagent", {3}),
        ("session-b", {2}),
        ("overloaded 529", {3}),
        ("session-a joke", set()),
        ("100%", {1}),
        ("_", {1, 2, 3}),
        ("!subagent", {1, 2}),
        ("session-a !subagent", {1}),
        ('"a joke"', {2}),
        ('!"a joke" 200', {1}),
    ],
)
def test_words_are_searched_in_what_the_row_shows(folder: Folder, query: str, found: set[int]) -> None:
    failed = TraceResponse.model_validate({"status": 529, "error": {"type": "e", "message": "Overloaded"}})
    folder.put(
        trace_of(1, text="be 100% sure"),
        trace_of(2, text="Tell me a joke", session="session-b"),
        trace_of(3, lane="subagent", response=failed),
    )
    page = folder.index.page(query=query)
    assert {int(row.id[-1]) for row in page.traces} == found
    assert page.total == len(found)


def test_a_missing_index_is_rebuilt_and_equals_the_one_that_was_lost(folder: Folder) -> None:
    traces = [trace_of(number, tool_calls=[call_of(f"toolu_{number}")]) for number in range(1, 60)]
    for trace in traces:
        path = folder.write(trace)
        folder.index.put([IndexEntry.of(trace, path, (folder.path / path).stat().st_size)])
    before = folder.index.page(limit=100)
    folder.index.close()
    for file in folder.path.glob(INDEX_NAME + "*"):
        file.unlink()
    folder.open()
    assert folder.reconcile() == 59
    assert folder.index.page(limit=100) == before
    assert folder.index.open_call("toolu_7") == before.traces[-7].path
    assert folder.notices == []


def test_a_damaged_index_is_replaced_with_a_notice(folder: Folder) -> None:
    folder.put(trace_of(1))
    folder.index.close()
    (folder.path / INDEX_NAME).write_bytes(b"no database at all, " * 500)
    folder.open()
    folder.reconcile()
    assert folder.ids() == ["req_0001"]
    assert "rebuilt from the trace files" in folder.notices[0]


def test_an_index_that_breaks_while_it_is_used_is_replaced(folder: Folder) -> None:
    folder.put(*[trace_of(number, text="x" * 900) for number in range(200)])
    folder.index.close()
    file = folder.path / INDEX_NAME
    content = file.read_bytes()
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    # Leaves only, and not the first: opening reads from the root down to it.
    broken = [page[:1] == LEAF and b'"preview":' in page and b"req_0000" not in page for page in pages]
    file.write_bytes(
        b"".join(b"\xff" * PAGE if bad else page for page, bad in zip(pages, broken, strict=True))
    )
    folder.open()
    with pytest.raises(sqlite3.DatabaseError):
        folder.index.page(query="x")
    assert folder.renewed == 1
    folder.reconcile()
    assert folder.index.page().total == 200


def test_an_index_without_misses_opens_at_once(folder: Folder) -> None:
    folder.put(*[trace_of(number, tool_calls=[call_of(f"toolu_{number}")]) for number in range(60)])
    folder.index.close()
    steps = 0

    def counted() -> None:
        nonlocal steps
        steps += 1

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made = sqlite3.Connection(*arguments, **options)
        made.set_progress_handler(counted, 1000)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", watched)
        folder.open()
    assert steps < 100
    assert folder.index.page().total == 60


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(("UPDATE summaries SET summary = '{'",), id="a summary that is none"),
        pytest.param(("UPDATE summaries SET summary = CAST(x'7bff' AS TEXT)",), id="bytes that are no text"),
        pytest.param(("DROP TABLE misses",), id="a table that is gone"),
        pytest.param(
            (
                "PRAGMA writable_schema = ON",
                "UPDATE sqlite_master SET sql = CAST(x'ff' || sql AS TEXT) WHERE name = 'calls'",
            ),
            id="a schema that is no text",
        ),
    ],
)
def test_damage_that_sqlite_lets_through_is_repaired(folder: Folder, harm: tuple[str, ...]) -> None:
    folder.put(trace_of(1), trace_of(2))
    folder.index.close()
    db = sqlite3.connect(folder.path / INDEX_NAME, isolation_level=None)
    for statement in harm:
        db.execute(statement)
    db.close()
    found = asked_index(folder.path, lambda index: index.page().traces, notice=folder.notices.append)
    assert [row.id for row in found] == ["req_0002", "req_0001"]
    assert ["was damaged" in notice for notice in folder.notices] == [True]
    folder.open()
    assert folder.ids() == ["req_0002", "req_0001"]


IMPOSSIBLE = [float("nan"), float("inf"), -1e300, 1e12]


@pytest.mark.parametrize("at", IMPOSSIBLE)
def test_a_trace_of_an_impossible_time_breaks_nothing(folder: Folder, at: float) -> None:
    traces = [trace_of(1), trace_of(2), trace_of(3, timings=Timings(first_token=at, done=at))]
    for trace in traces:
        folder.write(trace)
    file = folder.path / "mlx" / Path(trace_path("mlx", AT + 1, "req_0001")).name
    file.write_text(json.dumps(trace_of(1).model_dump() | {"time": at}))
    assert folder.reconcile() == 3
    assert folder.ids() == ["req_0003", "req_0002", "req_0001"]
    assert analyze(folder.index).total.requests == 3
    for form in get_args(ExportFormat):
        assert "".join(export([read_trace(file), traces[2]], form, version="1", redactor=Redactor()))


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "half \ud800 a pair"},
        {"session": "\ud800"},
        {"tool_calls": [call_of(name="\ud800")]},
        {"usage": Usage(input_tokens=10**30)},
    ],
    ids=["text", "session", "tool", "count"],
)
async def test_what_sqlite_refuses_is_listed_as_near_as_it_goes(folder: Folder, fields: Any) -> None:
    store = TraceStore(folder.path, notice=folder.notices.append)
    path = await store.write(trace_of(1, **fields))
    await store.close()
    assert (path, folder.ids(), folder.notices) == (trace_path("mlx", AT + 1, "req_0001"), ["req_0001"], [])


@pytest.mark.parametrize("table", ["traces", "requests", "texts", "calls"])
def test_a_trace_that_only_some_tables_have_is_indexed_again(folder: Folder, table: str) -> None:
    folder.put(trace_of(1, tool_calls=[call_of()]), trace_of(2))
    key = "id" if table in ("traces", "requests") else "trace"
    folder.index.select(f"DELETE FROM {table} WHERE {key} = 'req_0001'")
    folder.reconcile()
    folder.put(trace_of(1, tool_calls=[call_of()]))
    assert folder.ids() == ["req_0002", "req_0001"]
    assert analyze(folder.index).total.requests == 2
    assert folder.notices == []


async def test_what_a_full_disk_kept_out_is_told_once_and_added_when_there_is_room(folder: Folder) -> None:
    store = TraceStore(folder.path, notice=folder.notices.append)
    store.index.select("PRAGMA max_page_count = 1")  # as many as there are
    for number in range(1, 30):
        await store.write(trace_of(number, text=f"{number} " * 2000))
    assert store.index.page().total < 29
    store.index.select("PRAGMA max_page_count = 100000")
    await store.write(trace_of(30))
    assert store._background is not None
    await asyncio.to_thread(store._background.join)
    await store.close()
    await asyncio.sleep(0)
    assert ["not in the index" in notice for notice in folder.notices] == [True]
    assert folder.index.page().total == 30


def with_version(folder: Folder, version: int, *statements: str) -> None:
    """Close the index and make its file that of another version."""
    folder.index.close()
    with sqlite3.connect(folder.path / INDEX_NAME) as db:
        for statement in statements:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


def test_an_index_of_an_older_version_is_rebuilt_in_silence(folder: Folder) -> None:
    folder.put(trace_of(1, tool_calls=[call_of()]))
    old = "CREATE TABLE calls (id TEXT PRIMARY KEY, path TEXT NOT NULL, resolved INTEGER NOT NULL)"
    with_version(folder, 1, "DROP TABLE calls", "DROP TABLE requests", old)
    folder.open()
    assert folder.ids() == []
    folder.reconcile()
    assert folder.ids() == ["req_0001"]
    assert folder.index.open_call("toolu_1") is not None
    assert folder.notices == []


def test_an_index_of_a_newer_version_is_refused_and_left_as_it_is(folder: Folder) -> None:
    folder.put(trace_of(1))
    with_version(folder, 99)
    before = (folder.path / INDEX_NAME).read_bytes()
    folder.open()
    folder.reconcile()
    assert folder.ids() == ["req_0001"]  # from the files, in memory
    assert "version 99, made by a newer anyclaude-tui" in folder.notices[0]
    folder.index.close()
    assert (folder.path / INDEX_NAME).read_bytes() == before


def test_the_index_of_an_older_version_that_runs_is_left_to_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_tables, "OLDER_S", 0.01)
    folder.put(trace_of(1))
    with_version(folder, 1)
    older = sqlite3.connect(folder.path / INDEX_NAME, isolation_level=None)
    assert older.execute("SELECT id FROM traces").fetchall() == [("req_0001",)]
    folder.open()
    folder.reconcile()
    assert folder.ids() == ["req_0001"]  # from the files, in memory
    assert "an older anyclaude-tui that still runs uses it" in folder.notices[0]
    assert older.execute("SELECT id FROM traces").fetchall() == [("req_0001",)]
    older.close()
    folder.reopen()
    folder.reconcile()
    assert (len(folder.notices), folder.ids()) == (1, ["req_0001"])
    with sqlite3.connect(folder.path / INDEX_NAME) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (INDEX_VERSION,)
    db.close()


def test_two_processes_may_renew_an_old_index_at_once(folder: Folder) -> None:
    with_version(folder, 1)
    together = Barrier(4)

    def opened(_: int) -> TraceIndex:
        together.wait()
        return TraceIndex(folder.path, notice=folder.notices.append)

    with ThreadPoolExecutor(4) as pool:
        indices = list(pool.map(opened, range(4)))
    folder.open()
    folder.put(trace_of(1))
    assert [list(index.paths()) for index in indices] == [list(folder.index.paths())] * 4
    assert folder.notices == []
    for index in indices:
        index.close()


def test_tables_that_another_process_has_just_made_stay(folder: Folder) -> None:
    with_version(folder, 1)
    waiting = sqlite3.connect(folder.path / INDEX_NAME, isolation_level=None)
    first = sqlite3.connect(folder.path / INDEX_NAME, isolation_level=None)
    assert waiting.execute("PRAGMA user_version").fetchone() == (1,)  # the other one has looked
    make_tables(first)
    first.execute("INSERT INTO notes VALUES ('here')")
    make_tables(waiting)  # and begins only now
    assert waiting.execute("SELECT name FROM notes").fetchall() == [("here",)]
    for db in (waiting, first):
        db.close()
    folder.open()


def test_a_trace_that_is_put_again_has_one_row_everywhere(folder: Folder) -> None:
    for error in (None, True):
        folder.put(trace_of(1, tool_calls=[call_of(is_error=error)], cache=MISSED))
    for table in ("traces", "requests", "calls", "misses", "texts"):
        assert folder.index.select(f"SELECT count(*) FROM {table}") == [(1,)]
    assert folder.index.select("SELECT error FROM calls") == [(1,)]
    folder.index.remove([row.path for row in folder.index.page().traces])
    for table in ("traces", "requests", "calls", "misses", "texts"):
        assert folder.index.select(f"SELECT count(*) FROM {table}") == [(0,)]
    assert folder.index.select("SELECT count(*) FROM search WHERE search MATCH 'you'") == [(0,)]


def test_files_that_came_or_went_are_noticed(folder: Folder) -> None:
    folder.put(trace_of(1), trace_of(2))
    (folder.path / trace_path("mlx", AT + 1, "req_0001")).unlink()
    folder.write(trace_of(3, backend="openrouter"))
    assert folder.reconcile() == 1
    assert folder.ids() == ["req_0003", "req_0002"]


def test_a_file_that_is_no_trace_is_set_aside_and_kept(folder: Folder) -> None:
    folder.write(trace_of(1))
    bad = folder.path / trace_path("mlx", AT + 2, "req_0002")
    bad.write_bytes(b'{"id": "req_0002", "time"')
    assert folder.reconcile() == 1
    assert not bad.exists()
    assert bad.with_name(bad.name + ".damaged").read_bytes() == b'{"id": "req_0002", "time"'
    assert "req_0002.json is no trace" in folder.notices[0]
    assert "it is kept as" in folder.notices[0]
    assert folder.reconcile() == 0


def test_what_a_killed_host_left_half_written_is_swept_up(folder: Folder) -> None:
    (folder.path / "mlx").mkdir()
    old, new = (folder.path / "mlx" / f".{name}.json.1.tmp" for name in ("old", "new"))
    for draft in (old, new):
        draft.write_text("{")
    os.utime(old, (AT, AT))
    folder.reconcile()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_trace_of_a_newer_version_is_left_where_it_is(folder: Folder) -> None:
    path = folder.write(trace_of(1, schema_version=99))
    other = folder.write(trace_of(2))
    document = {"schema_version": 99, "id": "req_0002", "time": "in words"}
    (folder.path / other).write_text(json.dumps(document))
    assert folder.reconcile() == 0
    assert (folder.path / path).exists()
    assert (folder.path / other).exists()
    assert ["newer version" in notice for notice in folder.notices] == [True, True]


def test_other_peoples_files_are_left_alone(folder: Folder) -> None:
    (folder.path / "mlx").mkdir()
    (folder.path / "mlx" / "notes.json").write_text("{")
    folder.reconcile()
    assert (folder.path / "mlx" / "notes.json").exists()
    assert folder.notices == []


def test_a_folder_that_cannot_be_used_leaves_a_list_in_memory(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file")
    notices: list[str] = []
    index = TraceIndex(tmp_path / "traces", notice=notices.append)
    index.put([IndexEntry.of(trace_of(1), "mlx/a.json", 1)])
    assert index.page().total == 1
    assert "kept in memory" in notices[0]
    index.close()


def test_two_hosts_share_one_index(folder: Folder) -> None:
    other = Folder(folder.path)
    folder.put(trace_of(1))
    other.put(trace_of(2))
    assert folder.ids() == other.ids() == ["req_0002", "req_0001"]
    other.index.close()


def test_the_index_is_private(folder: Folder) -> None:
    folder.put(trace_of(1))
    modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.path.glob(INDEX_NAME + "*")}
    assert modes == {0o600}


def test_a_page_of_thousands_of_rows_is_as_long_as_asked(folder: Folder) -> None:
    body = body_of("x" * 300)
    rows = []
    for number in range(5000):
        trace = trace_of(number)
        trace.request.body = body
        rows.append(IndexEntry.of(trace, f"mlx/{number}.json", 1))
    folder.index.put(rows)
    page = folder.index.page(limit=100, query="xxx mlx")
    assert (page.total, len(page.traces)) == (5000, 100)


def test_the_requests_of_a_session_are_found_without_reading_all_rows(tmp_path: Path) -> None:
    def plan(index: TraceIndex) -> str:
        where = "session = 's' AND lane = 'main' AND (time, id) < (1, 'x')"
        return str(index.select(f"EXPLAIN QUERY PLAN SELECT count(*) FROM traces WHERE {where}"))

    made = TraceIndex(tmp_path, notice=pytest.fail)
    assert "SEARCH traces USING INDEX traces_by_session (session=? AND (time,id)<(?,?))" in plan(made)
    made.close()
    with sqlite3.connect(tmp_path / INDEX_NAME) as db:
        db.execute("DROP INDEX traces_by_session")  # as in a file of this version that was made before it
    db.close()
    again = TraceIndex(tmp_path, notice=pytest.fail)
    assert "traces_by_session" in plan(again)
    again.close()


def test_an_index_that_another_process_writes_to_is_opened_without_the_order_by_session(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put(trace_of(1))
    monkeypatch.setattr(index_tables, "LOCKED_S", 0.0)
    with sqlite3.connect(folder.path / INDEX_NAME, isolation_level=None) as db:
        db.execute("DROP INDEX traces_by_session")
        db.execute("BEGIN IMMEDIATE")
        found = TraceIndex(folder.path, notice=pytest.fail)
        assert [row.id for row in found.page().traces] == ["req_0001"]
        found.close()
        db.execute("ROLLBACK")
    db.close()
