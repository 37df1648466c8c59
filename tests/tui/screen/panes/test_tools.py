"""What the Tools pane says of a call and of a tool."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from proxy.anthropic.tool_results import shortened
from proxy.events.tool_call import ToolCall
from proxy.events.totals import Totals
from proxy.traces.listing.calls_page import CallPage, ListedCall
from tests.proxy.trace_making import trace_of
from tests.tui.screen.test_app import scene
from tests.tui.screen.test_mouse import click_on
from tests.tui.stage import drawn, lines_of
from tui.client.figures import clock, size
from tui.client.records import Snapshot, ToolRecord, ToolStats
from tui.client.wire_text import line_text
from tui.screen.panes.tool_call_cells import call_steps, verdict
from tui.screen.panes.tools import ToolsPane
from tui.screen.panes.tools_parts.by_tool import ByTool, ToolOrder, stats_block
from tui.screen.panes.tools_parts.call_text import call_pieces, result_at_length, whole_call
from tui.screen.styled_line import plain_text
from tui.screen.trace_list.listed_calls import records, timed
from tui.screen.widgets.canvas import Heading

CALL = ToolRecord(
    id="t1",
    time=0.0,
    name="Read",
    input={"path": "a"},
    raw="<call>",
    raw_tokens=41,
    family="hermes",
    constrained=True,
    verdict="valid",
    answered=1.0,
    duration_s=0.25,
    result="text",
)
REPAIRS = {"constrained": False, "repairs": ("a comma was taken out",), "repaired": True}

WORDS: list[tuple[dict[str, Any], str]] = [
    ({}, "✓ grammar"),
    ({"relaxed": "a pattern"}, "✓ relaxed"),
    ({"constrained": None}, "✓ valid"),
    (REPAIRS, "✓ 1 repair"),
    ({"verdict": "invalid"}, "✗ invalid"),
    ({"verdict": "unknown_tool"}, "✗ unknown tool"),
    ({"verdict": "cut"}, "⊘ truncated"),
    ({"verdict": "unchecked"}, "· unchecked"),
]


@pytest.mark.parametrize(("fields", "word"), WORDS)
def test_a_row_says_what_made_the_call_fit(fields: dict[str, Any], word: str) -> None:
    assert verdict(replace(CALL, **fields))[0] == word


WAYS: list[tuple[dict[str, Any], str]] = [
    ({}, "41 tokens → read by hermes → constrained by a grammar → ✓ valid → ✓ ok 0.25s"),
    (
        {"relaxed": "a pattern", "answered": None, "duration_s": None},
        "41 tokens → read by hermes → constrained by a relaxed grammar → ✓ valid → …",
    ),
    (
        {**REPAIRS, "family": "", "raw_tokens": 0, "is_error": True, "duration_s": None},
        "6 characters → read by the upstream → 1 repair → ✓ valid → ✗ error",
    ),
    (
        {"verdict": "cut", "answered": None, "duration_s": None},
        "41 tokens → read by hermes → constrained by a grammar → ⊘ truncated",
    ),
    (
        {
            "raw": "",
            "family": "",
            "constrained": None,
            "is_error": True,
            "result": "Exit code 127\nsh: x: no",
        },
        "✓ valid → ✗ exit 127 0.25s",
    ),
    ({"raw": "", "family": "", "constrained": None, "verdict": "invalid"}, "✗ invalid → ✓ ok 0.25s"),
]


@pytest.mark.parametrize(("fields", "way"), WAYS)
def test_the_detail_begins_with_the_steps_of_the_call(fields: dict[str, Any], way: str) -> None:
    assert plain_text(call_steps(replace(CALL, **fields))) == way


def test_the_detail_has_every_step_with_content() -> None:
    call = replace(CALL, **REPAIRS, relaxed="a pattern", detail="because")
    shown = "".join(text for text, _ in call_pieces(call))
    for words in ("because", "by the grammar\na pattern", "1  a comma was taken out", "path  a"):
        assert words in shown
    assert shown.index("Result after 0.25s") < shown.index("As the model wrote it\n<call>")


def test_a_call_without_input_shows_its_raw_text_first() -> None:
    shown = "".join(text for text, _ in call_pieces(replace(CALL, input=None, verdict="cut")))
    assert shown.index("<call>") < shown.index("Result")


def test_each_tool_has_its_rates_and_its_durations() -> None:
    stats = ToolStats("Bash", calls=8, invalid=1, repaired=2, results=4, errors=1, p50_s=1.5, p95_s=14.0)
    totals = Totals(tool_calls=8, tool_calls_invalid=1, tool_calls_repaired=2, tool_results=4, tool_errors=1)
    lines = [
        plain_text(line)
        for line in stats_block(Snapshot(tool_stats=(stats,), totals=totals), width=80, height=5)
    ]
    assert "▓ 1 refused (12%)   ▒ 2 repaired (25%)   ▓ 1 error (25%)" in lines[0]
    assert lines[1].split() == ["BY", "TOOL", "CALLS↓", "P50", "P95", "REFUSED", "REPAIRED", "ERRORS"]
    assert lines[2].split()[:2] == ["Bash", "8"]
    assert lines[2].split()[-5:] == ["1.5s", "14s", "12%", "25%", "25%"]


def test_a_short_screen_has_the_totals_alone() -> None:
    snapshot = Snapshot(tool_stats=(ToolStats("Bash", calls=1),))
    assert len(stats_block(snapshot, width=80, height=1)) == 1


def test_tools_that_do_not_fit_are_named_and_the_worst_shown_where_none_does() -> None:
    stats = tuple(ToolStats(f"Tool{number}", calls=20 - number, errors=number % 3) for number in range(12))
    snapshot = Snapshot(tool_stats=stats)
    shown = [plain_text(line) for line in stats_block(snapshot, 120, 5)]
    assert "+10 more: Tool2, Tool3" in shown[-1]
    assert len(shown) == 5
    [short] = stats_block(snapshot, 80, 1)
    assert "Tool2 2✗ of 18   Tool5 2✗ of 15" in plain_text(short)


async def test_the_sums_are_those_of_the_table_below_them_also_after_a_restart() -> None:
    async with scene() as it:
        it.app.store._totals = Totals()  # the host's own counts begin with its start, the calls before it
        await it.press("3")
        lines = it.text().splitlines()
        total = sum(one.calls for one in it.app.store.snapshot().tool_stats)
        assert any(line.strip().startswith(f"{total} calls") for line in lines), lines[:6]


def test_what_made_a_call_fit_is_known_in_every_range() -> None:
    call = ListedCall(
        "r1", 1, "t1", 1.0, "s", "main", "Read", "a", "", "valid", 0, False, 0.1, "ok", 2, "grammar"
    )
    for held, word in (("grammar", "✓ grammar"), ("relaxed", "✓ relaxed"), ("", "✓ valid")):
        [record] = records(CallPage([replace(call, held=held)], 1, []))
        assert verdict(record)[0] == word


def test_the_tools_stand_in_the_order_that_was_asked_for() -> None:
    stats = (
        ToolStats("Bash", calls=9, results=9, errors=1, p50_s=3.0),
        ToolStats("Read", calls=9, results=2, errors=1, p50_s=0.1),
        ToolStats("Edit", calls=4, invalid=2),
    )
    order = ToolOrder()
    seen = []
    for _ in range(7):
        seen.append((order.by, "".join(one.name[0] for one in order.of(stats))))
        order = order.next()
    assert seen == [
        ("calls", "BRE"), ("P50", "BRE"), ("P95", "BRE"), ("refused", "EBR"), ("repaired", "BRE"),
        ("errors", "RBE"), ("tool", "BER"),
    ]  # fmt: skip
    assert order == ToolOrder()
    assert [one.name for one in ToolOrder("errors", turned=True).of(stats)] == ["Edit", "Bash", "Read"]
    assert "ERRORS↑" in plain_text(
        stats_block(Snapshot(tool_stats=stats), 80, 5, ToolOrder("errors", True))[1]
    )


async def test_calls_are_stepped_through_while_one_is_read() -> None:
    async with scene() as it:
        await it.press("3", "end")
        table = it.app.main.current.main_table
        assert table is not None
        last = table.cursor
        await it.press("enter", "left_square_bracket")
        assert (table.cursor, table.has_focus) == (last - 1, False)
        assert table.selected is not None
        assert table.selected.name in lines_of([it.app.main.current.query_one("#call-heading", Heading)])
        await it.press("right_square_bracket", "right_square_bracket")
        assert table.cursor == last


async def test_the_order_of_tools_is_changed_by_keys_and_clicks_and_remembered() -> None:
    async with scene() as it:
        await it.press("3", "s", "S")
        table = it.app.main.current.query_one(ByTool)
        assert table.order == ToolOrder("P50", turned=True)
        await click_on(it.pilot, table, "ERRORS")
        await click_on(it.pilot, table, "ERRORS↓")
        assert table.order == ToolOrder("errors", turned=True)
        assert it.app.remembered.get("toolOrder") == ["errors", True]
        table.order = ToolOrder()
        table.on_mount()
        assert table.order == ToolOrder("errors", turned=True)


async def test_the_header_of_a_call_has_its_time_and_session_and_its_copy_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene() as it:
        await it.press("3", "up")
        pane = it.app.main.current
        assert isinstance(pane, ToolsPane)
        call = pane.main_table.selected
        assert call is not None
        head = drawn(pane.query_one("#call-heading", Heading))[0]
        assert clock(call.time) in head
        assert call.session[:6] in head
        assert call.id not in head
        copied: list[str] = []
        monkeypatch.setattr(pane, "copy", lambda text, what: copied.append(text))
        await it.press("y")
        assert call.id in copied[0]


async def test_a_long_result_opens_in_the_pager(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def outside(app: object, program: str, text: str, name: str, **more: object) -> str:
        shown.append(text)
        return ""

    monkeypatch.setattr("tui.screen.trace_detail.outside.show_outside", outside)
    async with scene() as it:
        await it.press("3", "up")
        pane = it.app.main.current
        assert isinstance(pane, ToolsPane)
        call = pane.main_table.selected
        assert call is not None
        await it.press("o")
        await pane.workers.wait_for_complete([one for one in it.app.workers if one.group == "pager"])
        assert call.id in shown[0]
        assert "Arguments" in shown[0]


def test_a_call_as_text_has_what_its_trace_has_and_says_what_is_missing() -> None:
    text = whole_call(replace(CALL, result="begin", result_bytes=20_000), None)
    assert text.startswith("Read t1, ")
    assert "20.0 kB more: a trace keeps the beginning" in text
    assert "more: a trace" not in whole_call(replace(CALL, result_bytes=4), None)


def test_a_result_is_read_as_its_trace_has_it_and_says_where_it_ends() -> None:
    file = "".join(f"{number}\tx = {number}\n" for number in range(1, 4_000))
    kept = shortened(file, "r2")
    call = replace(CALL, input={"file_path": "/a/b.py"}, result=line_text(file, 200), result_bytes=len(file))
    linked = ToolCall(id="t1", name="Read", input={"file_path": "/a/b.py"}, verdict="valid", result=kept)
    read = result_at_length(call, trace_of(1, tool_calls=[linked]))
    assert read is not None
    assert (read.name, read.language, read.first_line) == ("result of Read /a/b.py", "python", 1)
    assert read.text.startswith("x = 1\nx = 2\n")
    assert len(read.text) > 8_000
    assert re.fullmatch(r"\[… [\d]+ more characters; whole in the trace of r2\]", read.note)
    alone = result_at_length(call, None)
    assert alone is not None
    assert alone.note == f"the beginning of {size(len(file))}: its trace is not here"
    assert result_at_length(replace(call, result="", result_bytes=0), trace_of(1)) is None


def test_the_figures_of_what_the_screen_saw_are_counted_as_the_host_counts_other_ranges() -> None:
    calls = [ToolRecord(id=str(took), time=1.0, name="Write", duration_s=took) for took in (0.023, 0.033)]
    [one] = timed([ToolStats("Write", calls=2, results=2)], calls)
    assert (one.p50_s, one.p95_s) == (pytest.approx(0.028), pytest.approx(0.0325))
