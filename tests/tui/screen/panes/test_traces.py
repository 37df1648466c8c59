from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.events.tool_call import ToolCall
from proxy.events.types import Event, Usage
from proxy.traces.listing.calls_page import CallPage, ListedCall, ToolFigures
from proxy.traces.schema import CallSummary, TracePage, TraceSummary
from proxy.traces.summary import summarize
from tests.proxy.trace_making import trace_of
from tests.tui.stage import drawn, lines_of, loaded
from tests.tui.trace_samples import SampleHost, sample_trace
from tui.client.event_text import cleaned
from tui.client.loaded_rows import PAGE, LoadedRows
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.choices.remembered import Remembered
from tui.screen.styled_line import Line, line_width, plain_text
from tui.screen.trace_list.column_memory import ColumnMemory
from tui.screen.trace_list.columns import HELP, USUAL, columns, did_line
from tui.screen.trace_list.detail import detail_lines, detail_title
from tui.screen.trace_list.list_query import SORTS
from tui.screen.trace_list.listed_calls import records, tool_stats
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.canvas import heading as canvas_heading
from tui.screen.widgets.columns import header_line, lay_out

END = next(column for column in columns({}) if column.title == "END")


@pytest.mark.parametrize(("marked", "shown"), [(False, "✓ answered"), (True, "◆ ✓ answered")])
def test_a_marked_trace_has_a_glyph(marked: bool, shown: str) -> None:
    row = TraceSummary(id="req_1", time=1.0, status=200, stop_reason="end_turn", marked=marked)
    assert "".join(text for text, _ in END.cell(row, 0.0, 22)) == shown


def cell(title: str, row: TraceSummary, cells: int) -> str:
    column = next(column for column in columns({}) if column.title == title)
    return "".join(text for text, _ in column.cell(row, 0.0, cells))


def test_a_failed_trace_is_listed_by_its_cause_with_the_prompt_that_was_too_long() -> None:
    message = "prompt is too long: 360011 tokens > 262144 maximum"
    row = TraceSummary(id="req_1", time=1.0, status=400, error=message, cause="prompt too long")
    assert cell("END", row, 22) == "✗ prompt too long"
    assert cell("PROMPT", row, 6) == "360k"


@pytest.mark.parametrize("width", [80, 120, 200])
def test_how_a_request_ended_has_room_in_the_list(width: int) -> None:
    died = TraceSummary(id="a", time=1.0, error="x", cause="engine died (signal 9)", status=529, marked=True)
    ends = {column.title: cells for column, cells in lay_out(columns({"a": (8.0, "done")}), width)}
    assert cell("END", died, ends["END"]) == "◆ ✗ engine died" + " (signal 9)" * (width == 200)
    repeated = next(one for one in columns({"a": (8.0, "done")}) if one.title == "END")
    assert "↻ 00:00:08 ✓" in "".join(text for text, _ in repeated.cell(died, 0.0, ends["END"]))


def rows_of(*numbers: int) -> list[TraceSummary]:
    return [TraceSummary(id=f"req_{number}", time=float(number)) for number in numbers]


def ids(rows: LoadedRows) -> list[str | None]:
    return [row.id[4:] if row is not None else None for row in rows]


def test_pages_of_a_long_list_stay_in_place_while_rows_come() -> None:
    some = LoadedRows().with_page(0, rows_of(9, 8, 7), 6)
    assert ids(some) == ["9", "8", "7", None, None, None]
    more = some.with_page(4, rows_of(5, 4), 6)
    assert ids(more) == ["9", "8", "7", None, "5", "4"]
    moved = more.with_page(0, rows_of(10, 9, 8), 7)
    assert ids(moved) == ["10", "9", "8", "7", None, "5", "4"]
    assert moved[1] is some[0]
    assert moved.place_of("req_5") == 5
    assert ids(moved.with_page(0, rows_of(99, 98), 9)) == ["99", "98", *[None] * 7]
    assert ids(moved.with_page(0, rows_of(10), 1)) == ["10"]


async def test_the_strip_counts_again_where_the_list_has_grown_without_a_request() -> None:
    """As while a host reads its index anew."""
    app = ControlCenter(clock=lambda: 1000.0)
    app.client = host = SampleHost(rows_of(*range(5 * PAGE, PAGE, -1)))
    app.inbox.put(Link("live"))
    async with app.run_test(size=(120, 40)) as pilot:

        async def press(*keys: str) -> None:
            await pilot.press(*keys)
            for _ in range(3):
                app.frame()
                await pilot.pause()
                await loaded(app)

        await press("5")
        strip = app.main.traces.query_one("#day-strip", Canvas)
        assert "800 requests" in lines_of([strip])
        host.rows += rows_of(*range(PAGE, 0, -1))
        await press("G")
        assert "1,000 requests" in lines_of([strip])


async def test_the_end_of_a_long_list_is_its_end() -> None:
    app = ControlCenter(clock=lambda: 1000.0)
    app.client = host = SampleHost(rows_of(*range(5 * PAGE, 0, -1)))
    app.inbox.put(Link("live"))
    async with app.run_test(size=(80, 24)) as pilot:
        while not app.main.complete:
            await pilot.pause()
        table = app.main.traces.main_table

        async def press(*keys: str) -> None:
            for key in keys:
                await pilot.press(key)
                for _ in range(2):
                    app.frame()
                    await pilot.pause()
                    await loaded(app)

        await press("5", "G")
        assert table.selected is not None
        assert (table.selected.id, table.total) == ("req_1", 1000)
        assert host.asked == [("", 0), ("", 800)]
        await press("pageup", "enter")
        assert app.screen.query_one("#trace-title") is not None
        await press("p", "escape")
        assert table.selected.id == "req_16"
        host.rows = rows_of(1001, *range(1000, 0, -1))
        await press("f5")
        assert (table.selected.id, len(table.rows)) == ("req_16", 1001)
        await press("home")
        assert drawn(table)[1].startswith("▌")
        died = rows_of(1003)[0].model_copy(update={"cause": "engine died", "error": "x", "status": 529})
        second = died.model_copy(update={"id": "req_1004", "time": 1004.0, "retry_of": died.id})
        third = rows_of(1005)[0].model_copy(update={"retry_of": second.id})
        host.rows = [third, second, died, *host.rows]
        await press("f5")
        assert "↻ 00:16:45 ✓" in drawn(table)[2]
        assert "↻ 00:16:45 ✓" in drawn(table)[3]
        host.asked.clear()
        await pilot.press("slash", *"!req")
        await press("enter")
        assert host.asked[-1] == ("!req", 0)
        assert len(host.asked) < len("!req")
        assert len(table.rows) == 0


WEEK = 1_790_000_000.0  # Mon 2026-09-21 14:13:20 in UTC
YESTERDAY = 1_789_862_400.0  # where it begins


def week_of_rows() -> list[TraceSummary]:
    """Two hundred and fifty requests of the last days, each a bit slower than the one before."""
    calls = [CallSummary(name="Write", about="notes.md", is_error=False)]
    return [
        TraceSummary(
            id=f"req_{number}",
            time=WEEK - number * 3600.0,
            session="9f3c1e7a",
            lane="subagent" if number % 3 == 0 else "main",
            agent_type="Explore" if number % 3 == 0 else "",
            status=200,
            stop_reason="tool_use",
            duration_s=1.0 + number,
            usage=Usage(input_tokens=100, cache_read_input_tokens=300),
            tool_calls=1,
            did=calls,
            preview="fix the bug in app.py" if number != 77 else "find the needle",
        )
        for number in range(250)
    ]


@asynccontextmanager
async def shown(
    size: tuple[int, int] = (120, 40),
) -> AsyncIterator[tuple[ControlCenter, SampleHost, Callable[..., Awaitable[None]]]]:
    """The pane with a week of requests, and how keys are pressed in it."""
    app = ControlCenter(clock=lambda: WEEK)
    app.client = host = SampleHost(week_of_rows(), WEEK)
    app.inbox.put(Link("live"))
    async with app.run_test(size=size) as pilot:

        async def press(*keys: str) -> None:
            await pilot.press(*keys)
            for _ in range(2):
                app.frame()
                await pilot.pause()
                await loaded(app)

        await press("5")
        yield app, host, press


def heading(app: ControlCenter) -> str:
    return lines_of([app.main.traces.query_one("#traces-heading", Heading)])


async def test_without_its_host_the_list_says_when_it_was_loaded() -> None:
    now = [WEEK]
    app = ControlCenter(clock=lambda: now[0])
    app.client = SampleHost(week_of_rows(), WEEK)
    app.inbox.put(Link("live"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("5")
        for _ in range(2):
            app.frame()
            await pilot.pause()
            await loaded(app)
        now[0] += 900.0
        app.inbox.put(Link("ended", "the host ended", now[0]))
        app.frame()
        await pilot.pause()
        assert "as of 14:13:20" in heading(app)


async def test_while_the_host_searches_the_number_before_is_not_said_to_be_what_was_found() -> None:
    async with shown() as (app, host, press):
        assert "in all" in heading(app)
        answered, ask = asyncio.Event(), host.traces

        async def slow(*args: Any, **named: Any) -> TracePage:
            await answered.wait()
            return await ask(*args, **named)

        host.traces = slow  # type: ignore[method-assign]
        app.main.traces.set_filter("needle")
        app.main.traces.update()
        assert "/needle   loading …" in heading(app)
        assert "250" not in heading(app)
        answered.set()
        await press("home")
        assert "/needle   1 found" in heading(app)


async def test_requests_that_could_not_be_recorded_are_told_beside_those_that_were() -> None:
    async with shown() as (app, _, press):
        assert "not recorded" not in heading(app)
        full = {"unwritten": 5, "refusal": "No space left on device"}
        app.inbox.put(Event(seq=1, time=WEEK, type="host.disk", data=full))
        await press("down")
        assert "5 not recorded: No space left on device" in heading(app)


async def test_the_list_is_sorted_ranged_and_gone_to_by_keys() -> None:
    async with shown() as (app, host, press):
        pane = app.main.traces
        table = pane.main_table
        strip = drawn(pane.query_one("#day-strip", Canvas))
        assert "Sat" in strip[0] or "19" in strip[0]
        assert "250 requests" in strip[0]
        assert "▲" in strip[2]
        assert "250 in all   live" in heading(app)
        assert "fix the bug in app.… → Write notes.md  ✓ 1 call" in drawn(table)[1]
        assert "today 14:13:20" in drawn(table)[1]
        assert "Explore" in drawn(table)[1]

        await press("g", *"yesterday", "enter")
        assert table.selected is not None
        assert table.selected.time <= YESTERDAY < table.selected.time + 3600
        assert f"{table.cursor + 1} of 250" in heading(app)
        await press("g", *"2026-09-11", "enter")  # before all, in a page that is not loaded
        assert table.selected is not None
        assert (table.cursor, table.selected.id) == (249, "req_249")

        await press("s")
        assert (drawn(table)[1].split()[-1], "TOOK↓" in drawn(table)[0]) == ("4m10s", True)
        assert "by took ↓" in heading(app)
        await press("S")
        assert (drawn(table)[1].split()[-1], "TOOK↑" in drawn(table)[0]) == ("1.0s", True)
        await press("r", "r")
        assert "today r   15 in all   by took ↑" in heading(app)
        await press("end")
        assert drawn(table)[15].split()[-1] == "15s"
        # In another order a row may come anywhere: the selected one stays.
        before = table.selected
        host.rows.insert(0, host.rows[0].model_copy(update={"id": "req_new", "duration_s": 2.5}))
        await press("f5", "end")
        assert (table.selected, table.cursor, len(table.rows)) == (before, 15, 16)


@pytest.mark.parametrize("cells", [42, 60, 78, 118])
@pytest.mark.parametrize("sort", SORTS)
def test_the_mark_of_the_order_is_on_any_screen(sort: str, cells: int) -> None:
    for way, reverse in (("↓", False), ("↑", True)):
        titles = columns({}, USUAL, sort, reverse, roomy=cells >= 100)
        line = plain_text(header_line(lay_out(titles, cells)))
        assert line.count(way) == 1, line


def test_a_long_note_at_a_heading_is_shortened_and_not_dropped() -> None:
    note: Line = [("/" + "word " * 12, ""), ("by took ↓", "bold")]
    line = plain_text(canvas_heading([("Traces", "bold")], note, 44))
    assert line_width([(line, "")]) == 44
    assert line.startswith(" Traces ")
    assert "/word word" in line


async def test_found_marks_the_detail_and_the_columns_of_the_list() -> None:
    async with shown() as (app, host, press):
        pane = app.main.traces
        told = drawn(pane.query_one("#trace-detail", Canvas))
        assert told[0].strip() == "› fix the bug in app.py"
        assert "waiting" in told[1]
        assert "400 prompt = 300 restored █ + 100 prefilled ▒" in "".join(told[1:3])
        assert any("▸ Edit" in line and "✓ ok" in line for line in told)

        await press("slash", *"needle")
        await press("enter")  # full text over a week: typing and two keys
        assert "/needle   1 found" in heading(app)
        assert len(host.asked) < len("needle")
        bars, words = drawn(pane.query_one("#day-strip", Canvas))[2][:80], "● found   ◉ you are here"
        assert bars.strip() == "◉"
        assert words in lines_of([pane.query_one("#day-strip", Canvas)])
        assert "find the needle → Write notes.md" in drawn(pane.main_table)[1]

        await press("C", "down", "space", "escape")
        assert drawn(pane.main_table)[0].split()[:2] == ["TIME↓", "WHO"]
        await press("C", "u", "escape")
        assert "SESSION" in drawn(pane.main_table)[0]


async def test_failed_calls_of_today_take_two_keys() -> None:
    async with shown((80, 24)) as (app, host, press):
        assert not app.main.traces.query_one("#trace-detail").display  # there is no room
        failed = CallSummary(name="Bash", about="make lint", is_error=True)
        host.rows = [
            row.model_copy(update={"did": [failed]}) if number in (2, 5, 40) else row
            for number, row in enumerate(host.rows)
        ]
        await press("3", "e")
        table = app.main.current.main_table
        assert table is not None
        rows = [line for line in drawn(table)[1:] if line]
        assert len(rows) == 2  # the third one was yesterday
        assert "09:13:20" in rows[0]
        assert "12:13:20" in rows[1]
        assert all("Bash" in row and "make lint" in row and "✗ error" in row for row in rows)
        assert "failed only e   today r   2 calls" in lines_of(app.main.current.query(Heading))
        assert "15 calls   Bash 2✗ of 2" in lines_of([app.main.current.query_one("#tool-stats", Canvas)])
        assert app.main.current.request == "req_2"
        await press("r", "slash", *"tool:bash", "enter")
        assert len([line for line in drawn(table)[1:] if line]) == 3
        await press("e")
        assert "7 days r   169 calls" in lines_of(app.main.current.query(Heading))


def test_columns_that_were_chosen_are_remembered(tmp_path: Path) -> None:
    memory = ColumnMemory(Remembered(tmp_path / "screen.json"))
    assert memory.chosen() == USUAL
    memory.keep(["WHO", "TIME"])
    assert memory.chosen() == ("TIME", "WHO")
    (tmp_path / "screen.json").write_text('{"traceColumns": ["\\ud800", 7]}')
    assert memory.chosen() == USUAL


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (60, "fix the bug in app.py → Write notes.md, Bash make ✗, +1"),
        (40, "fix the bug … → Write notes.md, Bash make ✗, +1"),
        (20, "Write notes.md, Bash make ✗, +1"),
    ],
)
def test_what_was_asked_gives_way_to_what_was_done(cells: int, told: str) -> None:
    did = [CallSummary(name="Write", about="notes.md"), CallSummary(name="Bash", about="make", is_error=True)]
    row = TraceSummary(id="a", time=1.0, preview="fix the bug in app.py", did=did, tool_calls=3)
    assert cell("ASKED → DID", row, cells) == told


HOSTILE = "[/] [@click=app.quit]x\x1b]52;c;QUJD\x07\x1b[2J\u202e\x00\ud800\u2028y\r\n\t" + "w\u0301" * 40


@pytest.mark.parametrize("cells", [20, 60, 200])
def test_hostile_text_is_drawn_as_text_on_one_line(cells: int) -> None:
    call = CallSummary(name=HOSTILE, about=HOSTILE, is_error=True)
    fields = ("session", "agent_type", "model", "stop_reason", "error", "cause", "preview", "said", "path")
    row = TraceSummary(
        id="a", time=1.0, status=500, did=[call], tool_calls=9, **dict.fromkeys(fields, HOSTILE)
    )
    row = row.model_validate(cleaned(row.model_dump()))  # as `ListSource` does
    tool = ToolCall(
        id="t", name=HOSTILE, raw=HOSTILE, input={HOSTILE: HOSTILE}, result=HOSTILE, is_error=True
    )
    trace = sample_trace(rows_of(1)[0]).model_copy(update={"tool_calls": [tool]})
    lines = [column.cell(row, 2.0, cells) for column in columns({}, tuple(HELP))]
    lines += detail_lines(row, trace, cells, 12) + detail_lines(row, None, cells, 12)
    lines.append(detail_title(row, 2.0))
    listed = ListedCall(
        "a", 1, HOSTILE, 1.0, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, "valid", 1, True, None, HOSTILE, 9
    )
    figures = ToolFigures(HOSTILE, 1, 0, 0, 1, 1, None, None)
    [record] = records(page := CallPage([listed], 1, [figures]))
    assert record.is_error
    told = (record.name, record.arguments, record.session, record.result, tool_stats(page)[0].name)
    lines += [[(text, "")] for text in told]
    for line in lines:
        for text, _ in line:
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2028\ud800-\udfff]", text), (text, line)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"lane": "main"}, "main"),
        ({"lane": "subagent", "agent_type": "Explore"}, "Explore"),
        ({"lane": "subagent"}, "subagent"),
        ({"lane": "auxiliary", "purpose": "title"}, "title"),
        ({"lane": "auxiliary"}, "side"),
    ],
)
def test_who_asked_is_told_by_what_it_is(fields: dict[str, Any], told: str) -> None:
    assert cell("WHO", TraceSummary(id="a", time=1.0, **fields), 10) == told


def test_a_title_is_quoted_as_streams_quotes_it() -> None:
    for purpose, said in (("title", "“Add an export”"), ("", "Add an export")):
        row = summarize(trace_of(1), "a", 1).model_copy(update={"purpose": purpose, "said": "Add an export"})
        assert plain_text(did_line(row)) == said
